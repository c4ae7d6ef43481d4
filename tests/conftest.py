"""What holds for every test: nothing leaves this machine, nothing
unexpected is said, nothing of the person is used.

A test opens sockets only where it is marked `network`, `servers`, `browser`, `keychain` or `screen`, and then
to loopback alone. Log records from WARNING up fail a test unless it asks for `caplog`, and looks, or is
marked `logs`. Warnings fail by `filterwarnings`, Qt's messages by pytest-qt's own setting.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Before anything imports Qt: widgets' tests draw off screen; those that
# need a screen start a process with its own.
os.environ["QT_QPA_PLATFORM"] = "offscreen"
# A forgotten home in a test must not be the person's.
for _name in [name for name in os.environ if name.startswith("KEYFOB_") and name != "KEYFOB_TEST_CACHE"]:
    del os.environ[_name]
# Children that tests start find the package as this process does, installed or not.
_APP = str(Path(__file__).resolve().parent.parent / "app")
if _APP not in sys.path:
    sys.path.append(_APP)

# No deadline: two cores shared with servers and a browser say nothing about one example's speed.
settings.register_profile("keyfob", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("keyfob")

MAY_CONNECT = ("network", "servers", "browser", "keychain", "screen")
_allowed = False
_offences: list[str] = []


class OffLimits(Exception):
    """A test reached for the network."""


def _fault_of(sock: socket.socket, address: Any) -> str | None:
    if sock.family == getattr(socket, "AF_UNIX", None):
        return None
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None  # netlink and the like do not leave the kernel
    if not _allowed:
        return "opened a connection without a mark of " + ", ".join(MAY_CONNECT)
    if sock.type == socket.SOCK_DGRAM:
        return None  # connecting sends nothing: it asks the kernel for a route
    host = str(address[0]) if isinstance(address, tuple) and address else str(address)
    return None if _is_here(host) else f"connected to {host}: no test may leave this machine"


def _is_here(host: str) -> bool:
    """Loopback, or an address of this machine's own interfaces, which S-11's attacker uses."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True


def _guard(name: str) -> None:
    real = getattr(socket.socket, name)

    def guarded(self: socket.socket, address: Any) -> Any:
        fault = _fault_of(self, address)
        if fault is not None:
            _offences.append(fault)
            raise OffLimits(fault)
        return real(self, address)

    setattr(socket.socket, name, guarded)


for _name in ("connect", "connect_ex"):
    _guard(_name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Around the whole test, as fixtures of a module's or session's scope are set up within its first."""
    global _allowed
    _allowed = any(item.get_closest_marker(mark) for mark in MAY_CONNECT)
    _offences.clear()
    try:
        return (yield)
    finally:
        _allowed = False


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """Fails the test that reached out, also where something in between swallowed the exception."""
    yield
    assert not _offences, _offences


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(f"{record.levelname} {record.name}: {record.getMessage()}")


@pytest.fixture(autouse=True)
def no_unexpected_records(request: pytest.FixtureRequest) -> Iterator[None]:
    """A warning in the log is either asserted on, through `caplog`, or a fault."""
    heard = _Heard()
    logging.getLogger().addHandler(heard)
    yield
    logging.getLogger().removeHandler(heard)
    if "caplog" not in request.fixturenames and request.node.get_closest_marker("logs") is None:
        assert not heard.said, heard.said
