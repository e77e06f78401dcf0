from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from ltbench.data.cifar import Cifar100LT
from ltbench.data.digits import DigitsLT
from ltbench.data.parts import Parts


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every attempt to reach another machine fail loudly."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def require_here(host: object) -> None:
        assert host == "127.0.0.1", f"the network was asked for: {host}"

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX:
            require_here(address[0])
        connect(self, address)

    def look_up_here(host: Any, *more: Any, **named: Any) -> Any:
        require_here(host)
        return look_up(host, *more, **named)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
    monkeypatch.setattr(socket, "getaddrinfo", look_up_here)


@pytest.fixture(scope="session")
def digits() -> Parts:
    return DigitsLT().load(None)


@pytest.fixture(scope="session")
def cifar100(cifar100_root: Path) -> Parts:
    return Cifar100LT().load(cifar100_root)
