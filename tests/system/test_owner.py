from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ltbench.system import owner
from ltbench.system.owner import Owner, this_process

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="only Linux tells of processes")


def child_owner(child: subprocess.Popen[bytes]) -> Owner:
    return replace(this_process("sleeping"), pid=child.pid, started=owner._status(child.pid)[1])


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(3600)"])
    yield process
    process.kill()
    process.wait()


def wait_for(child: subprocess.Popen[bytes], state: str) -> None:
    while (found := owner._status(child.pid)[0]) != state:
        assert found != "Z", "it has ended"
        time.sleep(0.001)


def test_a_process_runs_is_stopped_and_dies(child: subprocess.Popen[bytes]) -> None:
    found = child_owner(child)
    assert found.fate() == "running"
    os.kill(child.pid, signal.SIGSTOP)
    wait_for(child, "T")
    assert found.fate() == "unknown"  # it may go on
    child.kill()
    wait_for(child, "Z")
    assert found.fate() == "gone"  # although nobody has asked how it ended
    child.wait()
    assert found.fate() == "gone"


def test_a_number_that_is_used_again_is_another_process() -> None:
    me = this_process("testing")
    assert me.fate() == "running"
    assert replace(me, started=(me.started or 0) - 1).fate() == "gone"


def test_of_other_machines_nothing_is_known() -> None:
    me = this_process("testing")
    assert me.here
    for machine in ("0" * 16, None):
        other = replace(me, pid=2**22 + 1, machine=machine)  # a number that no process has
        assert not other.here and other.fate() == "unknown"
    assert replace(me, pid=2**22 + 1).fate() == "gone"


def test_a_process_that_hides_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(pid: int) -> tuple[str, int]:
        raise FileNotFoundError

    me = this_process("testing")
    monkeypatch.setattr(owner, "_status", hidden)
    assert me.fate() == "unknown"


def test_a_process_of_somebody_else_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(pid: int, number: int) -> None:
        raise PermissionError

    me = this_process("testing")
    monkeypatch.setattr(os, "kill", refused)
    assert me.fate() == "running"


def test_an_owner_comes_back_and_names_no_machine() -> None:
    me = this_process("stage 1 of ce")
    assert Owner.from_bytes(me.to_bytes()) == me
    assert socket.gethostname().encode() not in me.to_bytes()
    assert me.machine is not None and len(bytes.fromhex(me.machine)) == 8


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"pid": "1", "started": 1, "machine": null, "what": ""}',
                                     b'{"pid": -1, "started": 1, "machine": null, "what": ""}'])
def test_damage_is_an_owner_of_whom_nothing_is_known(content: bytes) -> None:
    assert Owner.from_bytes(content) == Owner()
    assert Owner().fate() == "unknown"


def test_where_the_system_tells_nothing_age_alone_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "_machine", lambda: None)
    assert this_process("testing").fate() == "unknown"
