from __future__ import annotations

import hashlib
import io
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ltbench.errors import Diverged, UserError
from ltbench.results.predictions import Predictions
from tests.support.record_factory import predictions

NAMES = ("ids", "labels", "argmax", "confidence", "log_prob")


def test_from_log_probabilities_by_hand() -> None:
    probabilities = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]])
    result = Predictions.from_log_probabilities(torch.tensor([7, 3]), torch.tensor([1, 2]), probabilities.log())
    assert result.ids.tolist() == [3, 7]  # sorted, and everything else with them
    assert result.labels.tolist() == [2, 1]
    assert result.argmax.tolist() == [2, 0]
    assert result.confidence.tolist() == pytest.approx([0.75, 0.5], abs=1e-7)
    assert result.log_prob.tolist() == pytest.approx([math.log(0.75), math.log(0.25)], abs=1e-7)
    dtypes = [array.dtype for array in (result.ids, result.labels, result.argmax, result.confidence, result.log_prob)]
    assert dtypes == [np.int64, np.int64, np.int64, np.float32, np.float32]


def test_accepts_numpy_ids_and_half_precision() -> None:
    log_probs = torch.tensor([[0.0, -20.0]], dtype=torch.bfloat16)
    result = Predictions.from_log_probabilities(np.array([4]), np.array([0]), log_probs)
    assert (result.confidence[0], result.log_prob[0]) == (1, 0)


def test_rounding_above_one_is_clipped() -> None:
    result = Predictions.from_log_probabilities(torch.tensor([0]), torch.tensor([0]), torch.tensor([[1e-6, -20.0]]))
    assert result.confidence[0] == 1


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_none_are_a_divergence(value: float) -> None:
    log_probs = torch.tensor([[-1.0, -1.0], [-1.0, value]])
    with pytest.raises(Diverged, match="1 of 2 test images"):
        Predictions.from_log_probabilities(torch.tensor([0, 1]), torch.tensor([0, 0]), log_probs)


def test_an_image_that_counts_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="ids must be strictly increasing"):
        Predictions.from_log_probabilities(torch.tensor([5, 5]), torch.tensor([0, 0]), torch.zeros(2, 2))


def test_a_label_outside_the_classes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"labels must be in \[0, 2\)"):
        Predictions.from_log_probabilities(torch.tensor([5]), torch.tensor([2]), torch.zeros(1, 2))


def test_bytes_do_not_depend_on_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = predictions()
    given.save(tmp_path / "a.npz")
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    given.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        members = {(member.date_time, member.create_system, member.external_attr) for member in archive.infolist()}
    assert members == {((1980, 1, 1, 0, 0, 0), 3, 0o644 << 16)}  # neither when nor where it was written


def test_saved_and_loaded_are_the_same(tmp_path: Path) -> None:
    given = predictions()
    given.save(tmp_path / "a.npz")
    loaded = Predictions.load(tmp_path / "a.npz")
    assert loaded.sha256() == given.sha256()
    assert all((getattr(loaded, name) == getattr(given, name)).all() for name in NAMES)


def test_hash_is_of_the_contents() -> None:
    three, one = np.array([3], dtype=np.int64), np.array([1], dtype=np.int64)
    given = Predictions(three, one, one, np.array([0.5], dtype=np.float32), np.array([-1], dtype=np.float32))
    integers = ((b"ids", 3), (b"labels", 1), (b"argmax", 1))
    text = b"".join(name + b" <i8 1\n" + bytes([value, *[0] * 7]) for name, value in integers)
    text += b"confidence <f4 1\n\x00\x00\x00\x3f" + b"log_prob <f4 1\n\x00\x00\x80\xbf"  # 0.5 and -1 as IEEE 754
    assert given.sha256() == hashlib.sha256(text).hexdigest()
    assert predictions(right=(3, 2, 1, 1)).sha256() != predictions().sha256()


def _archive(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no zip at all", "not a zip"),
        (b"", "not a zip"),
        (_archive(ids=np.arange(2)), "it must hold ids, labels"),
        (_archive(**dict.fromkeys(NAMES, np.arange(2.0))), "ids must be int64"),
        (_archive(**dict.fromkeys(NAMES, np.array([print]))), "allow_pickle"),
        (predictions().to_bytes()[:-200], "not a zip"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=reason) as caught:
        Predictions.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    content = bytearray(predictions().to_bytes())
    content[content.index(b"ids.npy") + 40] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match="cannot be read"):
        Predictions.load(tmp_path / "a.npz")


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictions().save(tmp_path / "a.npz")
    monkeypatch.setattr("ltbench.results.predictions._MAX_BYTES", 100)
    with pytest.raises(UserError, match="at most 100 bytes"):
        Predictions.load(tmp_path / "a.npz")


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        Predictions.load(tmp_path / "a.npz")
