"""What may go wrong between the training and the processes that decode: nothing of it may make anybody wait for ever."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ltbench.data import stream
from ltbench.data.arrays import Floats, Ints
from ltbench.data.class_folders import open_folder
from ltbench.data.copies import first_copies
from ltbench.data.encoded import EncodedImages
from ltbench.data.inspection.contents import digests
from ltbench.data.inspection.readable import look, unreadable
from ltbench.data.stream import Request, Stream
from ltbench.errors import UserError
from tests.support.own_images import write_classes

FULL = ("warning: shared memory (/dev/shm) is full: decoded images come through pipes, which is slower; a container gets more "
        "of it with --shm-size\n")
ALONE = ("warning: no process can be started to decode images (No space left on device): this one decodes them, which is "
         "slower\n")
DEAD = "a process that decodes images has died, killed or out of memory: fewer of them (LTBENCH_WORKERS) need less"
SECONDS = 600.0  # far more than anything here takes on a busy machine, and less than for ever


class Painted:
    """Decode without files: image i has the color i everywhere; one of the images ends its process."""

    labels = torch.zeros(200, dtype=torch.int64)
    paths = [str(index) for index in range(200)]

    def __init__(self, deadly: int | None = None, size: int = 96) -> None:
        self.deadly, self.size = deadly, size

    def fetch(self, indices: Tensor) -> Tensor:
        return self.decode(indices.numpy(), [None])[0]

    def decode(self, indices: Ints, windows: Sequence[Floats | None]) -> list[Tensor]:
        if self.deadly in indices.tolist():
            os.kill(os.getpid(), signal.SIGKILL)
        colors = np.broadcast_to(indices[:, None, None, None].astype(np.uint8), (len(indices), self.size, self.size, 3))
        return [torch.from_numpy(colors.copy()).permute(0, 3, 1, 2) for _ in windows]


def no_room(tensor: Tensor) -> Tensor:
    raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1_2_3>: No space left on device (28)")


def requests(count: int = 4) -> list[Request]:
    return [Request(np.arange(start, start + 100), [None, None]) for start in range(count)]


@pytest.fixture(autouse=True)
def workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_WORKERS", "2")
    stream._warn.cache_clear()


def in_time(work: Callable[[], object]) -> None:
    """Do it, and end the tests if it never ends: pytest would wait."""
    watchdog = threading.Timer(SECONDS, os._exit, [86])
    watchdog.start()
    try:
        work()
    finally:
        watchdog.cancel()


def served(source: Painted, count: int = 4) -> list[list[Tensor]]:
    return list(Stream(source).serve(requests(count)))


def test_without_shared_memory_the_same_images_come(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    expected = served(Painted())
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(Tensor, "share_memory_", no_room)
    got: list[list[Tensor]] = []
    in_time(lambda: got.extend(served(Painted())))
    assert capfd.readouterr().err == FULL  # once, and no traceback of a worker
    for views, others in zip(got, expected, strict=True):
        assert [view.shape for view in views] == [(100, 3, 96, 96)] * 2
        assert all(view.is_contiguous(memory_format=torch.channels_last) for view in views)
        assert all(torch.equal(view, other) for view, other in zip(views, others, strict=True))


SMALL = """
import numpy as np, torch, sys
from ltbench.data.stream import Stream
from tests.data.test_stream_faults import Painted, requests
for start, views in enumerate(Stream(Painted()).serve(requests())):
    for view in views:
        assert torch.equal(view[:, 0, 0, 0], torch.arange(start, start + 100).to(torch.uint8))
print("served")
"""


CHECK = """
import sys
from ltbench.cli.main import main
sys.exit(main(["data", "check", "--full", f"folder:{sys.argv[1]}"]))
"""


def _with_dev_shm(mount: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this Python with a /dev/shm of its own, where a test may mount a file system."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-m", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("this system lets no test mount a file system")
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "LTBENCH_WORKERS": "2",
                   "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    shell = f'{mount} && exec "$0" -c "$@"'
    return subprocess.run([unshare, "-m", "sh", "-c", shell, sys.executable, *command], capture_output=True, text=True,
                          env=environment, cwd=Path(__file__).resolve().parents[2], timeout=2 * SECONDS)


def test_a_small_dev_shm_is_one_line() -> None:
    """The real thing: 1 MB, of which an answer would take 1.8."""
    done = _with_dev_shm("mount -t tmpfs -o size=1m none /dev/shm", SMALL)
    assert (done.returncode, done.stdout, done.stderr) == (0, "served\n", FULL)


@pytest.mark.slow
def test_a_dev_shm_without_room_for_a_lock_is_one_line(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "pets", {"a": 5, "b": 5})
    done = _with_dev_shm("mount -t tmpfs -o size=4k none /dev/shm && head -c 4096 /dev/zero > /dev/shm/full", CHECK, str(root))
    assert (done.returncode, done.stderr) == (0, ALONE) and done.stdout.endswith("sound\n")


@pytest.mark.parametrize("room", [True, False])
def test_a_dead_worker_is_found(monkeypatch: pytest.MonkeyPatch, room: bool) -> None:
    if not room:
        monkeypatch.setattr(Tensor, "share_memory_", no_room)

    def work() -> None:
        with pytest.raises(UserError, match=r"^a process that decodes images has died") as caught:
            served(Painted(deadly=150), 100)
        assert str(caught.value) == DEAD

    in_time(work)


def test_a_worker_that_is_killed_while_it_sends_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer, of 1.8 MB, is in the pipe in part; whoever reads waits for the rest."""
    monkeypatch.setattr(Tensor, "share_memory_", no_room)

    def work() -> None:
        serving = Stream(Painted()).serve(requests(100))
        next(serving)
        loader = serving.gi_frame.f_locals["served"]  # type: ignore[attr-defined]
        with pytest.raises((UserError, RuntimeError)) as caught:
            time.sleep(1.0)  # by now both wait for room in the pipe
            os.kill(loader._workers[0].pid, signal.SIGKILL)
            list(serving)
        assert str(stream.died(caught.value) or caught.value) == DEAD

    in_time(work)


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no lock be made that processes share: those of queues and pools lie in /dev/shm."""
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", fail)


def test_where_no_worker_can_start_the_images_are_decoded_at_home(request: pytest.FixtureRequest,
                                                                  capfd: pytest.CaptureFixture[str]) -> None:
    expected = served(Painted())
    request.getfixturevalue("no_locks")
    got = served(Painted())
    assert capfd.readouterr().err == ALONE
    assert all(torch.equal(view, other) for views, others in zip(got, expected, strict=True)
               for view, other in zip(views, others, strict=True))


@pytest.mark.usefixtures("no_locks")
def test_where_no_worker_can_start_files_are_compared_and_tried_all_the_same(tmp_path: Path,
                                                                             capfd: pytest.CaptureFixture[str]) -> None:
    root = write_classes(tmp_path / "pets", {"a": 5, "b": 5})
    shutil.copy(root / "a" / "000.png", root / "b" / "004.png")
    train = open_folder(str(root)).load(None).train  # sets a fifth apart, which compares all images
    assert isinstance(train, EncodedImages)
    originals = first_copies([train])
    found = digests({"train": train}, {"train": look(train).sizes}, 2, full=True)["train"].values
    assert len(set(originals.tolist())) == len(set(found.tolist())) == len(np.unique([train.read(i).tobytes() for i in range(
        len(train.paths))]))
    assert capfd.readouterr().err == ""
    os.truncate(train.paths[1], 20)
    assert [index for index, _, _ in unreadable(train, 2)] == [1]
    assert capfd.readouterr().err == ALONE


def test_a_check_of_all_files_ends_when_its_worker_does() -> None:
    def work() -> None:
        with pytest.raises(UserError, match=r"^a process that decodes images has died"):
            unreadable(Painted(deadly=150), 2)  # type: ignore[arg-type]

    in_time(work)


def test_other_errors_are_left_alone() -> None:
    assert stream.died(RuntimeError("shape mismatch")) is None and stream.died(ValueError("DataLoader worker")) is None
    with pytest.raises(RuntimeError, match="^shape"), stream.workers_alive():
        raise RuntimeError("shape mismatch")
