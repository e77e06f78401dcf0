from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor

from ltbench.data.task_data import TaskData
from ltbench.training import bank_file, features
from tests.support.banks import KEY, Projection, engine_of, expected, made_up, reader_of

ROWS, WIDTH = 3000, 6


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (bank_file, features):
        monkeypatch.setattr(module, "CHUNK", 1024)


def folder(root: Path) -> Path:
    return root / "stages" / KEY[:2] / KEY


def made(data: TaskData, root: Path) -> Tensor:
    """Return what an engine of its own makes."""
    engine = engine_of(WIDTH)
    return reader_of(engine, data, root).read("train", "plain").embedding


def test_a_bank_holds_the_embedding_of_every_image(tmp_path: Path) -> None:
    engine, data = engine_of(WIDTH), made_up(ROWS)
    bank = reader_of(engine, data, tmp_path).read("train", "plain")
    torch.testing.assert_close(bank.embedding.double(), expected(engine, data), atol=1e-4, rtol=1e-5)
    assert torch.equal(bank.labels, data.labels)
    assert cast(Projection, engine.backbone).calls == [512, 512, 512, 512, 512, 440]
    assert sorted(path.name for path in folder(tmp_path).iterdir()) == ["bank-plain.json", "bank-plain.rows"]


def test_a_bank_that_takes_long_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                   caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(logging.getLogger("ltbench"), "propagate", True)
    caplog.set_level(logging.INFO, "ltbench")
    made(made_up(600), tmp_path / "quick")
    assert caplog.messages == []
    monkeypatch.setattr(features, "_EVERY", 0.0)
    made(made_up(600), tmp_path / "slow")
    first, last = dict.fromkeys(re.sub(r"[\d,]+ images/s", "R images/s", message) for message in caplog.messages)
    assert re.fullmatch(r"features of digits-lt: 512 of 600 images, R images/s, \d+ s left", first)
    assert last == "features of digits-lt: 600 of 600 images, R images/s, 0 s left"


def test_a_stored_bank_is_read_and_not_computed(tmp_path: Path) -> None:
    data = made_up(ROWS)
    first = made(data, tmp_path)
    engine = engine_of(WIDTH)
    assert torch.equal(reader_of(engine, data, tmp_path).read("train", "plain").embedding, first)
    assert cast(Projection, engine.backbone).calls == []


def test_an_interrupted_bank_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    data = made_up(ROWS)
    whole = made(data, tmp_path / "whole")
    engine = engine_of(WIDTH)

    def stop(module: Projection, images: object) -> None:
        if len(module.calls) == 3:  # in the middle of the second chunk
            raise KeyboardInterrupt

    handle = engine.backbone.register_forward_pre_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        reader_of(engine, data, tmp_path).read("train", "plain")
    handle.remove()
    calls = cast(Projection, engine.backbone).calls
    calls.clear()
    assert torch.equal(reader_of(engine, data, tmp_path).read("train", "plain").embedding, whole)
    assert calls == [512, 512, 512, 440]  # 2,048 rows and then the last ones: the first chunk is not computed again


def test_a_bank_that_was_lost_to_another_process_goes_on_where_that_one_left_it(tmp_path: Path,
                                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    data = made_up(ROWS)
    whole = made(data, tmp_path / "whole")
    engine = engine_of(WIDTH)
    reader = reader_of(engine, data, tmp_path)
    answers = iter([True, False, True, True])  # lost before the second chunk, by one that did nothing
    monkeypatch.setattr(reader._maker._store, "confirm", lambda key: next(answers))
    assert torch.equal(reader.read("train", "plain").embedding, whole)
    assert cast(Projection, engine.backbone).calls == 5 * [512] + [440] + 3 * [512] + [440]


def test_views_have_banks_of_their_own(tmp_path: Path) -> None:
    data = made_up(ROWS)
    engine = engine_of(WIDTH)
    reader = reader_of(engine, data, tmp_path)
    plain, augmented = (reader.read("train", view).embedding for view in ("plain", "augmented"))
    assert len(list(folder(tmp_path).glob("*.rows"))) == 2
    assert (plain != augmented).any()


@pytest.mark.parametrize("limit", [0, 1 << 26], ids=["on disk", "in memory"])
@pytest.mark.parametrize("stage", [1, 2], ids=["a trained backbone", "nowhere to keep it"])
def test_what_is_not_kept_is_the_same(limit: int, stage: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "IN_MEMORY", limit)
    data = made_up(ROWS)
    kept = made(data, tmp_path / "kept")
    engine = engine_of(WIDTH, stage)
    reader = reader_of(engine, data, tmp_path, key=KEY if stage == 1 else None)
    assert torch.equal(reader.read("train", "plain").embedding, kept)
    if stage == 1:
        assert torch.equal(reader.finished(keep=False).embedding, kept)
    assert list(folder(tmp_path).iterdir()) == []
    assert [path.name for path in (tmp_path / "stages").iterdir()] == ["ab"]


def test_a_bank_counts_as_a_part_of_its_stage(tmp_path: Path) -> None:
    engine = engine_of(WIDTH)
    reader = reader_of(engine, made_up(ROWS), tmp_path)
    reader.read("train", "plain")
    (entry,) = reader._maker._store.entries()
    assert entry.size >= 4 * ROWS * WIDTH
    assert reader._maker._store.prune(0) == [entry] and not folder(tmp_path).exists()


def test_a_bank_of_a_stage_that_was_pruned_is_computed_and_not_kept(tmp_path: Path) -> None:
    data = made_up(ROWS)
    engine = engine_of(WIDTH)
    reader = reader_of(engine, data, tmp_path)
    folder(tmp_path).rmdir()
    assert len(reader.read("train", "plain").embedding) == ROWS
    assert not folder(tmp_path).exists()


def test_making_a_bank_makes_room_for_it(tmp_path: Path) -> None:
    engine = engine_of(WIDTH)
    reader = reader_of(engine, made_up(ROWS), tmp_path)
    other = reader._maker._store.path("cd2")
    other.mkdir(parents=True)
    (other / "engine.safetensors").write_bytes(b"x" * 100)
    reader._maker._store.limit = 100
    reader.read("train", "plain")
    assert not other.exists() and (folder(tmp_path) / "bank-plain.rows").is_file()
