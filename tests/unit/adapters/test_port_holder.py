"""Who holds a port, read from a table like the kernel's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from keyfob.adapters.loopback.port_holder import who_holds

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def row(address: str, state: str, inode: int) -> str:
    return (
        f"   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000        0 "
        f"{inode} 1 0 100 0 0 10 0\n"
    )


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(
        HEAD + row("0100007F:2694", "0A", 4242) + row("0100007F:2695", "01", 4343)
    )
    process = tmp_path / "4711"
    (process / "fd").mkdir(parents=True)
    (process / "comm").write_text("no\x1b[31mde\n")
    (process / "fd" / "0").symlink_to("/dev/null")
    (process / "fd" / "3").symlink_to("socket:[4242]")
    (process / "fd" / "4").symlink_to("socket:[4343]")
    (tmp_path / "self-like").mkdir()
    (tmp_path / "99").mkdir()  # another user's: its fd folder cannot be read
    return tmp_path


def test_name_and_number_made_plain(proc: Path) -> None:
    assert who_holds(0x2694, proc=proc) == "no\\x1b[31mde (process 4711)"


def test_a_connection_is_not_a_listener(proc: Path) -> None:
    assert who_holds(0x2695, proc=proc) is None


def test_another_family(proc: Path) -> None:
    (proc / "net" / "tcp").unlink()
    (proc / "net" / "tcp6").write_text(HEAD + row("00000000000000000000000001000000:2694", "0A", 4242))
    assert who_holds(0x2694, proc=proc) is not None


def test_a_process_whose_name_is_gone(proc: Path) -> None:
    (proc / "4711" / "comm").unlink()
    assert who_holds(0x2694, proc=proc) == "a program (process 4711)"


def test_ourselves(proc: Path) -> None:
    (proc / "4711").rename(proc / str(os.getpid()))
    assert who_holds(0x2694, proc=proc) == f"Keyfob itself (process {os.getpid()})"


def test_nothing_to_read(tmp_path: Path, proc: Path) -> None:
    assert who_holds(0x2694, proc=tmp_path / "absent") is None
    (proc / "4711" / "fd" / "3").unlink()
    assert who_holds(0x2694, proc=proc) is None
