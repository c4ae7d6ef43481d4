"""Named-app consent: which program asks, what the person is asked, and what stands of the answer."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from keyfob.agent.consent import NamedApps, program_at, script_of
from keyfob.agent.gates import Peer
from keyfob.core.consent import Program, Question, Reply
from keyfob.core.errors import NotFound, SettingWrong
from keyfob.core.settings import Settings
from keyfob.service.consents import Consents
from support.memory_store import MemoryAccountStore
from support.rig import MovingClock

TOOL = Program("/usr/bin/python3", "/home/me/tool.py", "/home/me", ("/usr/bin/bash",))


class Person:
    """Answers as told, and remembers what was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[Question] = []

    def __call__(self, question: Question) -> Reply:
        self.asked.append(question)
        return self.replies.pop(0)


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def make(clock: MovingClock) -> Callable[..., Consents]:
    def made(*replies: Reply, on: bool = True, window: bool = True) -> Consents:
        consents = Consents(MemoryAccountStore(), lambda: replace(Settings(), named_app_consent=on), clock)
        consents.ask = Person(*replies) if window else None
        return consents

    return made


def allowed(consents: Consents, program: Program = TOOL, account: str = "alice") -> bool:
    try:
        consents.require(program, f"example/{account}", f"key-{account}")
    except SettingWrong as error:
        if error.code != "consent_refused":
            raise
        return False
    return True


def asked(consents: Consents) -> int:
    assert isinstance(consents.ask, Person)
    return len(consents.ask.asked)


def test_off_by_default() -> None:
    assert not Settings().named_app_consent


def test_while_the_switch_is_off_nobody_is_asked_or_looked_at(make: Callable[..., Consents]) -> None:
    def look(pid: int | None) -> Program:
        raise AssertionError("looked at")

    consents = make(on=False)
    apps = NamedApps(consents, look)
    apps.require(Peer(1, 0), "example/alice", "key-alice")
    assert not apps.on
    assert asked(consents) == 0


def test_the_person_is_shown_which_program_wants_which_account(make: Callable[..., Consents]) -> None:
    consents = make(Reply.ALWAYS)
    NamedApps(consents, lambda pid: TOOL).require(Peer(7, 0), "example/alice", "key-alice")
    assert isinstance(consents.ask, Person)
    assert consents.ask.asked == [Question("example/alice", TOOL)]


def test_once_is_for_the_request_that_asks(make: Callable[..., Consents]) -> None:
    consents = make(Reply.ONCE, Reply.ONCE)
    assert allowed(consents)
    assert allowed(consents)
    assert asked(consents) == 2
    assert consents.list() == []


def test_an_hour_is_an_hour(make: Callable[..., Consents], clock: MovingClock) -> None:
    consents = make(Reply.HOUR, Reply.NO)
    assert allowed(consents)
    clock.forward(minutes=59)
    assert allowed(consents)
    assert asked(consents) == 1
    clock.forward(minutes=1)
    assert not allowed(consents)
    assert asked(consents) == 2


def test_always_is_for_this_program_and_this_account(
    make: Callable[..., Consents], clock: MovingClock
) -> None:
    consents = make(Reply.ALWAYS, Reply.NO, Reply.NO)
    assert allowed(consents)
    clock.forward(days=400)
    assert allowed(consents)
    assert allowed(consents, replace(TOOL, folder="/elsewhere", parents=()))
    assert asked(consents) == 1
    assert not allowed(consents, account="bob")
    assert not allowed(consents, replace(TOOL, script="/home/me/other.py"))
    assert asked(consents) == 3


def test_a_no_is_not_asked_again_at_once(make: Callable[..., Consents], clock: MovingClock) -> None:
    consents = make(Reply.NO, Reply.ALWAYS)
    assert [allowed(consents) for _ in range(5)] == [False] * 5
    assert asked(consents) == 1
    clock.forward(hours=1)
    assert allowed(consents)


def test_without_a_window_the_answer_is_no(make: Callable[..., Consents]) -> None:
    consents = make(window=False)
    assert not allowed(consents)
    assert consents.list() == []


def test_permissions_are_listed_and_revocable(make: Callable[..., Consents]) -> None:
    consents = make(Reply.ALWAYS, Reply.NO, Reply.NO)
    allowed(consents)
    allowed(consents, account="bob")
    first, second = consents.list()
    assert (first.account_id, first.executable, first.script, first.reply) == (
        "example/alice",
        "/usr/bin/python3",
        "/home/me/tool.py",
        Reply.ALWAYS,
    )
    assert (first.until, second.reply) == (None, Reply.NO)
    consents.revoke(first.id)
    assert [permission.id for permission in consents.list()] == [second.id]
    assert not allowed(consents)
    assert asked(consents) == 3
    with pytest.raises(NotFound) as caught:
        consents.revoke("none")
    assert caught.value.code == "permission_not_found"


def test_what_ran_out_is_forgotten(make: Callable[..., Consents], clock: MovingClock) -> None:
    consents = make(Reply.HOUR)
    allowed(consents)
    clock.forward(hours=2)
    assert consents.list() == []
    assert consents._store.names("consent/") == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[:40],
        lambda text: "[]",
        lambda text: text.replace('"always"', '"forever"'),
        lambda text: text.replace('"until": null', '"end": null'),
        lambda text: text.replace('"always"', '"hour"'),  # an hour with its end lost
        lambda text: text.replace('"until": null', '"until": "soon"'),
    ],
    ids=["empty", "half", "list", "unknown", "no until", "no end", "no time"],
)
def test_s78_an_answer_that_cannot_be_read_is_no_permission(
    make: Callable[..., Consents], caplog: pytest.LogCaptureFixture, spoil: Callable[[str], str]
) -> None:
    """The person is asked again; what a newer Keyfob may be able to read stays until they answer."""
    consents = make(Reply.ALWAYS, Reply.NO)
    assert allowed(consents)
    store = consents._store
    (name,) = store.names("consent/")
    spoilt = spoil(store.read(name) or "")
    store.write(name, spoilt)
    assert list(consents.list()) == []
    assert "cannot be read" in caplog.text
    assert store.read(name) == spoilt
    assert not allowed(consents)
    assert len(consents.ask.asked) == 2  # type: ignore[union-attr]


def test_a_program_that_cannot_be_told_is_allowed_once_at_most(make: Callable[..., Consents]) -> None:
    consents = make(Reply.ALWAYS, Reply.ALWAYS)
    assert allowed(consents, Program(""))
    assert allowed(consents, Program(""))
    assert asked(consents) == 2
    assert consents.list() == []


def test_thirty_requests_at_once_are_one_question(make: Callable[..., Consents]) -> None:
    consents = make(Reply.ALWAYS)
    person = consents.ask
    assert person is not None
    go = threading.Event()

    def slowly(question: Question) -> Reply:
        go.wait(5)
        return person(question)

    consents.ask = slowly
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(allowed(consents))) for _ in range(30)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(5)
    assert answers == [True] * 30
    assert isinstance(person, Person)
    assert len(person.asked) == 1


# --- which program ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("executable", "words", "script"),
    [
        ("/usr/bin/curl", ["curl", "x"], None),
        ("/usr/bin/python3.11", ["python3", "tool.py", "-m", "x"], "/srv/tool.py"),
        ("/usr/bin/python3.11", ["python3", "-I", "-W", "error", "/a/../b/tool.py"], "/b/tool.py"),
        ("/usr/bin/python3.11", ["python3", "-m", "http.server"], "-m http.server"),
        ("/usr/bin/python3.11", ["python3", "-c", "print(1)"], "-c"),
        ("/usr/bin/python3.11", ["python3"], None),
        ("/usr/bin/node", ["node", "--test", "app.js"], "/srv/app.js"),
        ("/bin/bash", ["bash", "-e", "x"], "-e"),
        ("/bin/bash", ["/bin/bash", "./build.sh"], "/srv/build.sh"),
    ],
)
def test_an_interpreters_script_is_what_asks(executable: str, words: list[str], script: str | None) -> None:
    assert script_of(executable, words, "/srv") == script


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
class TestProcesses:
    def start(self, tmp_path: Path, name: str, *words: str) -> subprocess.Popen[str]:
        script = tmp_path / name
        script.write_text("import sys; print('up', flush=True); sys.stdin.read()\n")
        process = subprocess.Popen(
            [sys.executable, str(script), *words],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    def test_a_script_its_folder_and_what_started_it(self, tmp_path: Path) -> None:
        with self.start(tmp_path, "tool.py") as process:
            program = program_at(process.pid)
            process.communicate("")
        assert program.executable == os.path.realpath(sys.executable)
        assert (program.script, program.folder) == (str(tmp_path / "tool.py"), str(tmp_path))
        assert program.parents[0] == (program_at(os.getpid()).script or os.path.realpath(sys.executable))

    def test_our_own_command_asks_for_whoever_ran_it(self, tmp_path: Path) -> None:
        with self.start(tmp_path, "keyfob", "token", "github") as process:
            program = program_at(process.pid)
            process.communicate("")
        assert program == program_at(os.getpid())

    def test_a_process_that_is_gone_is_an_unknown_program(self) -> None:
        with subprocess.Popen(["true"]) as process:
            process.wait()
        assert program_at(process.pid) == Program("")
        assert program_at(None).name == "an unknown program"
