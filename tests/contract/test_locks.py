"""What lock files promise across processes, and all locks."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from contract.locks_contract import LONG, NONE, SHORT, LocksContract
from keyfob.adapters.store.file_locks import FileLocks
from keyfob.core.errors import Fault, Transient
from support.memory_store import MemoryLocks

HOLDER = """
import sys, time
from datetime import timedelta
from pathlib import Path
from keyfob.adapters.store.file_locks import FileLocks
with FileLocks(Path(sys.argv[1])).hold(sys.argv[2], timeout=timedelta(seconds=20)):
    print("held", flush=True)
    sys.stdin.readline()
print("freed", flush=True)
"""

COUNTER = """
import sys
from datetime import timedelta
from pathlib import Path
from keyfob.adapters.store.file_locks import FileLocks
locks, count = FileLocks(Path(sys.argv[1])), Path(sys.argv[2])
for _ in range(25):
    with locks.hold("count", timeout=timedelta(seconds=60)):
        count.write_text(str(int(count.read_text()) + 1))
"""


class TestMemoryLocks(LocksContract):
    @pytest.fixture
    def locks(self) -> MemoryLocks:
        return MemoryLocks()


class TestFileLocks(LocksContract):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path / "locks"

    @pytest.fixture
    def locks(self, folder: Path) -> FileLocks:
        return FileLocks(folder)

    def test_another_process_is_kept_out_and_seen(self, locks: FileLocks, folder: Path) -> None:
        with holder(folder, "demo/alice") as process:
            assert locks.held("demo/alice")
            with pytest.raises(Transient), locks.hold("demo/alice", timeout=SHORT):
                pytest.fail("two holders")
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
            with locks.hold("demo/alice", timeout=LONG):
                assert locks.held("demo/alice")
        assert not locks.held("demo/alice")

    def test_a_killed_holder_frees_it(self, locks: FileLocks, folder: Path) -> None:
        with holder(folder, "demo/alice") as process:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            assert not locks.held("demo/alice")
            with locks.hold("demo/alice", timeout=NONE):
                pass

    def test_processes_take_turns(self, folder: Path, tmp_path: Path) -> None:
        count = tmp_path / "count"
        count.write_text("0")
        processes = [
            subprocess.Popen([sys.executable, "-c", COUNTER, str(folder), str(count)]) for _ in range(4)
        ]
        assert [process.wait(60) for process in processes] == [0] * 4
        assert count.read_text() == "100"

    def test_two_of_one_process_are_told_apart_too(self, locks: FileLocks, folder: Path) -> None:
        other = FileLocks(folder)
        with locks.hold("a", timeout=NONE):
            assert other.held("a")
            with pytest.raises(Transient), other.hold("a", timeout=SHORT):
                pytest.fail("two holders")

    def test_a_look_never_makes_a_lock_busy(self, locks: FileLocks, folder: Path) -> None:
        """`held` looks with a shared lock for an instant; a hold that does not wait still gets through."""
        with locks.hold("a", timeout=NONE):
            pass
        [file] = folder.iterdir()
        with file.open() as look:
            fcntl.flock(look, fcntl.LOCK_SH | fcntl.LOCK_NB)
            threading.Timer(0.01, fcntl.flock, (look, fcntl.LOCK_UN)).start()
            with locks.hold("a", timeout=NONE):
                pass

    def test_threads_are_served_in_the_order_they_came(self, locks: FileLocks) -> None:
        order: list[int] = []

        def work(number: int) -> None:
            with locks.hold("a", timeout=LONG):
                order.append(number)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        with locks.hold("a", timeout=NONE):
            for number, thread in enumerate(threads):
                thread.start()
                while len(locks.turns.queues["a"]) < number + 2:
                    time.sleep(0.002)
        for thread in threads:
            thread.join()
        assert order == list(range(6))

    def test_asking_twice_from_one_thread_is_busy_and_no_deadlock(self, locks: FileLocks) -> None:
        with locks.hold("a", timeout=NONE), pytest.raises(Transient), locks.hold("a", timeout=SHORT):
            pytest.fail("two holders")

    def test_lock_files_stay_and_are_for_the_owner_alone(self, locks: FileLocks, folder: Path) -> None:
        with locks.hold("demo/alice", timeout=NONE):
            pass
        [file] = folder.iterdir()
        inode = file.stat().st_ino
        assert file.stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700
        with locks.hold("demo/alice", timeout=NONE):
            pass
        assert file.stat().st_ino == inode

    @pytest.mark.parametrize("name", ["../../escape", "/etc/passwd", "a\0b", "x" * 500, "", "..", "ä/ö"])
    def test_no_name_leads_out_of_the_folder(self, locks: FileLocks, folder: Path, name: str) -> None:
        with locks.hold(name, timeout=NONE):
            assert locks.held(name)
        [file] = list(folder.iterdir())
        assert file.parent == folder

    def test_names_that_look_alike_are_two_locks(self, locks: FileLocks) -> None:
        with locks.hold("a/b", timeout=NONE), locks.hold("a-b", timeout=NONE):
            pass

    def test_nothing_is_left_in_memory_or_open(self, locks: FileLocks) -> None:
        descriptors = Path("/proc/self/fd")
        before = len(list(descriptors.iterdir())) if descriptors.is_dir() else 0
        for number in range(20):
            with locks.hold(f"n{number}", timeout=NONE):
                pass
            locks.held(f"n{number}")
        assert locks.turns.queues == {}
        if before:
            assert len(list(descriptors.iterdir())) <= before

    def test_a_folder_that_became_a_file_is_a_fault(self, locks: FileLocks, folder: Path) -> None:
        folder.rmdir()
        folder.write_text("")
        with pytest.raises(Fault), locks.hold("a", timeout=NONE):
            pytest.fail("held nothing")


@contextmanager
def holder(folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds `name` until it reads a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
        with suppress(BrokenPipeError):
            process.stdin.close()
