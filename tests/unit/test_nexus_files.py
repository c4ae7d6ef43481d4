"""What Nexus Mods' part keeps on disk: the library, the queue, answers; and what damages them."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from keyfob.core.errors import NotFound, SettingWrong
from keyfob.nexus.addresses import mod_page
from keyfob.nexus.cache import FILES_MOST, Cache
from keyfob.nexus.library import Entry, Library, LibraryFile
from keyfob.nexus.models import Game, Mod
from keyfob.nexus.owner import NoOwnerError, Owner, ask
from keyfob.nexus.queue import DONE_KEPT, Job, QueueFile


def mod(mod_id: int) -> Mod:
    return Mod("skyrim", mod_id, f"Mod {mod_id}", "a", "", None, "1", False, True, "published", None, False,
               mod_page("skyrim", mod_id))  # fmt: skip


def job(number: int, **changes: Any) -> Job:
    made = Job(f"{number:08x}", "nexusmods/a", Game("skyrim", "Skyrim"), mod(number), number, "a.zip", "1",
               Path("/nowhere"), 10)  # fmt: skip
    for name, value in changes.items():
        setattr(made, name, value)
    return made


# --- the library --------------------------------------------------------------------------------------------


def test_the_library_is_read_as_it_was_written(tmp_path: Path) -> None:
    library = LibraryFile(tmp_path)
    assert library.read() == Library()
    entry = Entry(mod(1), added=True, file_id=5, version="1.0", asked_at=7.5, state="update", newest="2")
    written = library.change(
        lambda before: before.with_mod(entry).with_game("skyrim", folder="/mods", chosen=True)
    )
    assert LibraryFile(tmp_path).read() == written
    assert (tmp_path / "nexus.json").stat().st_mode & 0o777 == 0o600


def test_changes_of_many_threads_are_all_kept(tmp_path: Path) -> None:
    def add(number: int) -> None:
        LibraryFile(tmp_path).change(lambda before: before.with_mod(Entry(mod(number))))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(LibraryFile(tmp_path).read().mods) == 12


def test_a_damaged_library_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "nexus.json"
    for text in ("{", "[]", '{"mods": 5, "games": {}, "adult": false}', '{"games": {}}'):
        path.write_text(text)
        with pytest.raises(SettingWrong) as caught:
            LibraryFile(tmp_path).change(lambda before: before)
        assert caught.value.code == "settings_file_faulty"
        assert path.read_text() == text


def test_a_row_of_a_newer_version_is_left_out(tmp_path: Path) -> None:
    library = LibraryFile(tmp_path)
    library.change(lambda before: before.with_mod(Entry(mod(1))).with_mod(Entry(mod(2))))
    document = json.loads((tmp_path / "nexus.json").read_text())
    document["mods"][0]["new_field"] = 1
    document["mods"][1]["state"] = "new_state"
    (tmp_path / "nexus.json").write_text(json.dumps(document))
    assert [(key, entry.state) for key, entry in library.read().mods.items()] == [(("skyrim", 2), "unknown")]


# --- the queue ----------------------------------------------------------------------------------------------


def test_what_ran_waits_after_a_restart_and_old_ones_go(tmp_path: Path) -> None:
    queue = QueueFile(tmp_path)
    assert queue.read() == []
    jobs = [job(n, state="done") for n in range(DONE_KEPT + 5)] + [
        job(900, state="running"),
        job(901, state="paused"),
    ]
    queue.write(jobs)
    found = queue.read()
    assert len(found) == DONE_KEPT + 2
    assert found[0].id == f"{5:08x}"
    assert [each.state for each in found[-2:]] == ["waiting", "paused"]


def test_a_damaged_queue_is_empty_and_a_damaged_row_left_out(tmp_path: Path) -> None:
    queue, path = QueueFile(tmp_path), tmp_path / "nexus-downloads.json"
    queue.write([job(1), job(2)])
    document = json.loads(path.read_text())
    document["downloads"][0]["state"] = "new"
    document["downloads"][1]["file_name"] = "../../evil"
    path.write_text(json.dumps(document))
    assert [each.file_name for each in queue.read()] == ["_.._evil"]
    for text in ("", "[]", '{"downloads": 7}', "\0"):
        path.write_text(text)
        assert queue.read() == []


# --- answers ------------------------------------------------------------------------------------------------


def test_answers_are_kept_for_their_time(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "answers")
    assert cache.get("a", 60) is None
    cache.put("a", {"b": 1})
    assert cache.get("a", 60) == {"b": 1}
    assert cache.get("a", 0) is None
    (file,) = (tmp_path / "answers").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    os.utime(file, (time.time() + 900, time.time() + 900))  # the clock was set back since
    assert cache.get("a", 60) is None
    file.write_text("{")
    os.utime(file)
    assert cache.get("a", 60) is None


def test_there_are_never_too_many_answers(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for number in range(FILES_MOST + 10):
        cache.put(str(number), number)
    assert len(list(tmp_path.iterdir())) <= FILES_MOST
    assert cache.get(str(FILES_MOST + 9), 60) == FILES_MOST + 9


# --- who runs the downloads ---------------------------------------------------------------------------------


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "run").mkdir()
    return {"KEYFOB_HOME": str(tmp_path)}


def test_one_owner_answers_the_others(tmp_path: Path, env: dict[str, str]) -> None:
    def serve(asked: Any) -> dict[str, Any]:
        if asked["do"] == "fail":
            raise NotFound("There is no such thing", code="download_not_found", facts={"page": "p"})
        if asked["do"] == "break":
            raise ValueError("a secret")
        return {"heard": asked["do"]}

    with pytest.raises(NoOwnerError):
        ask(env, {"do": "hello"})
    first, second = Owner(tmp_path, env, serve), Owner(tmp_path, env, serve)
    assert first.take()
    assert first.take()
    assert not second.take()
    assert ask(env, {"do": "hello"}) == {"heard": "hello"}
    with pytest.raises(NotFound) as caught:
        ask(env, {"do": "fail"})
    assert (caught.value.code, caught.value.facts) == ("download_not_found", {"page": "p"})
    thread = threading.Thread(target=first.release)  # by another thread than the one that took it
    thread.start()
    thread.join()
    with pytest.raises(NoOwnerError):
        ask(env, {"do": "hello"})
    assert second.take()
    assert ask(env, {"do": "hello"}) == {"heard": "hello"}
    second.release()


@pytest.mark.parametrize("sent", [b"", b"\n", b"[]\n", b"{\n", b"\xff\n", b"x" * 100_000, b'{"key": 5}\n'])
def test_s99_what_is_no_request_is_not_answered(tmp_path: Path, env: dict[str, str], sent: bytes) -> None:
    owner = Owner(tmp_path, env, lambda asked: {"heard": dict(asked)})
    assert owner.take()
    try:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(10)
            peer.connect(str(tmp_path / "run" / "nexus.sock"))
            try:
                peer.sendall(sent)
                peer.shutdown(socket.SHUT_WR)
                assert peer.recv(100) == b""
            except (BrokenPipeError, ConnectionResetError):
                pass  # it was closed before all was read
        assert ask(env, {"do": "hello"})["heard"]["do"] == "hello"
        assert (tmp_path / "run" / "nexus.sock").stat().st_mode & 0o777 == 0o600
    finally:
        owner.release()
