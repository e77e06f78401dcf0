from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from ltbench.data.files import FileImages
from ltbench.data.loader import Loader, evaluation_batches
from ltbench.data.parts import Parts, TensorImages
from ltbench.data.paths import Paths
from ltbench.data.stream import Request, Stream
from ltbench.errors import UserError
from tests.support.list_factory import write_jpegs
from tests.support.views import view_of

VIEWS = [view_of(("random_resized_crop", "flip", "jitter"), 4, (0.5,) * 3, (0.2,) * 3, decoded=True),
         view_of(("crop",), 2, (0.5,) * 3, (0.2,) * 3)]
INDICES = torch.arange(1, 41)
ORDER = np.random.default_rng(0).permutation(40)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, digits: Parts) -> FileImages:
    assert isinstance(digits.train, TensorImages)
    folder = tmp_path_factory.mktemp("jpegs")
    images = digits.train.pixels[:48, 0].repeat_interleave(5, 1).repeat_interleave(6, 2).numpy()  # 40 x 48
    names = write_jpegs(folder, images)
    return FileImages(Paths(folder, [name.encode() for name in names]), digits.train.labels[:48], 24, 28)


@pytest.fixture(params=["0", "2"])
def workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("LTBENCH_WORKERS", request.param)
    yield request.param


def epochs(files: FileImages, rank: int = 0, world: int = 1) -> list[torch.Tensor]:
    loader = Loader(files, INDICES, VIEWS, batch_size=12, seed=3, rank=rank, world=world, accumulation=2)
    return [view for epoch in range(2) for parts in loader.epoch(ORDER, epoch) for part in parts for view in part.views]


def test_epochs_do_not_depend_on_workers(files: FileImages, workers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    state = torch.get_rng_state()
    got = epochs(files)
    assert torch.equal(torch.get_rng_state(), state)  # a loader draws a seed: not from the generator that methods use
    monkeypatch.setenv("LTBENCH_WORKERS", "0")
    expected = epochs(files)
    assert len(got) == 2 * 3 * 2 * 2  # epochs, batches, steps, views
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))
    assert not torch.equal(got[0], got[12])  # another epoch, another window


@pytest.mark.parametrize("world", [1, 2])
@pytest.mark.parametrize("workers", ["1", "2", "3"])
def test_batches_are_the_same_for_every_number_of_workers_and_ranks(files: FileImages, monkeypatch: pytest.MonkeyPatch,
                                                                    workers: str, world: int) -> None:
    monkeypatch.setenv("LTBENCH_WORKERS", "0")
    expected = epochs(files)
    monkeypatch.setenv("LTBENCH_WORKERS", workers)
    got = [torch.cat(parts) for parts in zip(*(epochs(files, rank, world) for rank in range(world)), strict=True)]
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize("count", [10, 100])  # one piece, and two that are joined
def test_views_are_channels_last(files: FileImages, workers: str, count: int) -> None:
    requests = [Request(np.arange(count) % 48, [None, np.random.default_rng(0).random((count, 22))])]
    for views in Stream(files).serve(requests):
        assert all(view.is_contiguous(memory_format=torch.channels_last) for view in views)
    batch = next(Loader(files, INDICES, VIEWS[:1], batch_size=8, seed=0).epoch(ORDER, 0))[0]
    assert batch.views[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("device", "pinned"), [("cpu", False), ("cuda", True)])
def test_workers_stay_and_pin_what_goes_to_a_gpu(files: FileImages, monkeypatch: pytest.MonkeyPatch, device: str,
                                                pinned: bool) -> None:
    monkeypatch.setenv("LTBENCH_WORKERS", "2")
    loader = Stream(files, device)._loader  # made on a machine without a GPU, too; it would fail when asked
    assert loader is not None
    assert (loader.pin_memory, loader.persistent_workers, loader.prefetch_factor) == (pinned, True, 2)


def test_two_epochs_have_the_same_workers(files: FileImages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_WORKERS", "2")
    stream, seen = Stream(files), []
    for _ in range(2):
        list(stream.serve([Request(np.arange(4))]))
        seen.append({worker.pid for worker in multiprocessing.active_children()})
    assert seen[0] and seen[0] == seen[1]


def test_workers_decode_after_torch_has_used_its_threads(files: FileImages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_WORKERS", "2")
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        torch.ones(400, 400).mm(torch.ones(400, 400)).exp_().sum()  # a pool of threads, which no worker has after the fork
        (views,) = Stream(files).serve([Request(np.arange(40))])
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(views[0], files.fetch(torch.arange(40)))


def test_pieces_ask_for_what_the_request_does() -> None:
    drawn = np.random.default_rng(0).random((7, 22))
    pieces = Request(np.arange(7) + 3, [None, drawn]).pieces(3)
    assert [piece.indices.tolist() for piece in pieces] == [[3, 4, 5], [6, 7, 8], [9]]
    assert all(piece.windows[0] is None for piece in pieces)
    assert np.array_equal(np.concatenate([piece.windows[1] for piece in pieces]), drawn)
    assert [len(piece.indices) for piece in Request(np.arange(0)).pieces(3)] == [0]


def test_no_worker_is_asked_for_more_than_a_piece(files: FileImages, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def cut(self: Request, size: int) -> list[Request]:
        asked.append(size)
        return pieces(self, size)

    pieces = Request.pieces
    monkeypatch.setattr(Request, "pieces", cut)
    requests = [Request(np.arange(count) % 48, [None, np.random.default_rng(count).random((count, 22))])
                for count in (150, 64, 65, 1, 0, 129)]  # 3, 1, 2, 1, 1 and 3 pieces
    monkeypatch.setenv("LTBENCH_WORKERS", "0")
    expected = list(Stream(files).serve(requests))
    assert asked == []
    monkeypatch.setenv("LTBENCH_WORKERS", "2")
    got = list(Stream(files).serve(requests))
    assert asked == [64] * 6
    assert len(got) == len(expected) == 6
    for ours, whole in zip(got, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, whole, strict=True))


@pytest.mark.parametrize("count", [10, 100])
def test_what_is_served_is_out_of_shared_memory(files: FileImages, workers: str, count: int) -> None:
    ((view,),) = Stream(files).serve([Request(np.arange(count) % 48)])
    assert view.shape == (count, 3, 24, 24)
    assert not view.is_shared()  # type: ignore[no-untyped-call]


def test_batches_hold_what_the_order_says(files: FileImages) -> None:
    plain = view_of((), 0, (0.5,) * 3, (0.2,) * 3)
    loader = Loader(files, INDICES, [VIEWS[0], plain], batch_size=8, seed=3)
    for number, (batch,) in enumerate(loader.epoch(ORDER, 1)):
        positions = ORDER[8 * number:8 * number + 8]
        names = INDICES.numpy()[positions]
        windows = VIEWS[0].windows(names, 3, 1, 0)
        first, second = files.decode(names, [windows, None])
        assert torch.equal(batch.views[0], VIEWS[0](first, names, 3, 1, 0))
        assert torch.equal(batch.views[1], plain(second, names, 3, 1, 1))
        assert batch.labels.tolist() == files.labels[names].tolist()


def test_ranks_share_a_batch(files: FileImages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_WORKERS", "0")
    whole, ranks = epochs(files), [epochs(files, rank, 2) for rank in range(2)]
    # Steps of 6 images on one process are 3 on each of two, side by side.
    joined = [torch.cat(parts) for parts in zip(*ranks, strict=True)]
    assert all(torch.equal(a, b) for a, b in zip(whole, joined, strict=True))


def test_a_repeated_image_comes_in_another_window_each_time(files: FileImages) -> None:
    batch = next(Loader(files, INDICES, VIEWS[:1], batch_size=8, seed=0).epoch(np.full(8, 5), 0))[0]
    assert len({image.contiguous().numpy().tobytes() for image in batch.views[0]}) == 8


def test_an_epoch_that_was_given_up_leaves_nothing_behind(files: FileImages, workers: str) -> None:
    loader = Loader(files, INDICES, VIEWS, batch_size=8, seed=3)
    next(loader.epoch(ORDER, 0))
    again = [part.views[0] for (part,) in loader.epoch(ORDER, 1)]
    fresh = [part.views[0] for (part,) in Loader(files, INDICES, VIEWS, batch_size=8, seed=3).epoch(ORDER, 1)]
    assert all(torch.equal(a, b) for a, b in zip(again, fresh, strict=True))


def test_evaluation_takes_each_image_once(files: FileImages, workers: str) -> None:
    seen = []
    for positions, pixels in evaluation_batches(files, INDICES, 7, "cpu", 1, 3):
        assert torch.equal(pixels, files.fetch(INDICES[positions]))
        seen += positions.tolist()
    assert seen == list(range(1, 40, 3))


def test_a_damaged_image_is_one_line(files: FileImages, workers: str, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    broken = FileImages(Paths(tmp_path, [b"bad.jpg", b"gone.jpg"]), torch.tensor([0, 1]), 8, 8)
    with pytest.raises(UserError, match=r"^image '.*bad.jpg' cannot be read \([^\n]*$"):
        list(Stream(broken).serve([Request(np.array([0]))]))
    with pytest.raises(UserError, match=r"^image '.*gone.jpg' is not there; --unreadable skip leaves such images out$"):
        list(Stream(broken).serve([Request(np.array([1]))]))


def test_images_in_memory_are_not_cut_by_a_decoder(digits: Parts) -> None:
    windows = view_of(("random_resized_crop",), 1, (0.3,), (0.4,), decoded=True)
    with pytest.raises(UserError, match="'random_resized_crop' is for images that are decoded from files; .* use 'crop'"):
        Loader(digits.train, INDICES, [windows], batch_size=4, seed=0)
    batches = evaluation_batches(digits.train, INDICES, 4, "cpu", windows=lambda positions: windows.windows(positions, 0, 0))
    with pytest.raises(UserError, match="use 'crop'"):
        next(batches)


def test_windows_stand_first() -> None:
    with pytest.raises(UserError, match="'random_resized_crop' must be the first augmentation, got flip, random_resized_crop"):
        view_of(("flip", "random_resized_crop"), 1, (0.3,), (0.4,))
