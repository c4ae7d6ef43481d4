"""Named-app consent: which program asks, what the person is asked, and what stands of the answer."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from keyfob.agent.consent import LAUNCHER, OURS, NamedApps, is_own_command, program_at, script_of
from keyfob.agent.endpoints import Peer
from keyfob.core.consent import Program, Question, Reply
from keyfob.core.errors import KeyfobError, NotFound, SettingWrong, Transient
from keyfob.core.settings import Settings
from keyfob.process.own_process import own_command, package_root
from keyfob.service.consents import (
    QUESTIONS_MOST,
    QUESTIONS_OF_ONE,
    REQUESTS_OF_ONE,
    Consents,
    UnansweredError,
)
from support.agent_rig import AgentRig, short_folder, spawn, unix
from support.memory_store import MemoryAccountStore
from support.rig import MovingClock
from support.running import until

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
def store() -> MemoryAccountStore:
    return MemoryAccountStore()


@pytest.fixture
def make(clock: MovingClock, store: MemoryAccountStore) -> Callable[..., Consents]:
    def made(*replies: Reply, on: bool = True, window: bool = True) -> Consents:
        consents = Consents(store, lambda: replace(Settings(), named_app_consent=on), clock, spawn)
        consents.ask = Person(*replies) if window else None
        return consents

    return made


def allowed(consents: Consents, program: Program = TOOL, account: str = "alice") -> bool:
    """Asks, and waits for the answer as a request does."""
    try:
        answer_of(consents, program, account)
    except SettingWrong as error:
        if error.code != "consent_refused":
            raise
        return False
    return True


def answer_of(consents: Consents, program: Program = TOOL, account: str = "alice") -> None:
    """Raises what the request would be told."""
    try:
        consents.require(program, f"example/{account}", f"key-{account}")
    except UnansweredError as question:
        answers: queue.Queue[KeyfobError | None] = queue.Queue()
        question.wait(answers.put, lambda: True)
        error = answers.get(timeout=10)
        if error is not None:
            raise error from None


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
    with pytest.raises(UnansweredError) as caught:
        NamedApps(consents, lambda pid: TOOL).require(Peer(7, 0), "example/alice", "key-alice")
    answers: queue.Queue[KeyfobError | None] = queue.Queue()
    caught.value.wait(answers.put, lambda: True)
    assert answers.get(timeout=10) is None
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


def test_what_ran_out_is_forgotten(
    make: Callable[..., Consents], clock: MovingClock, store: MemoryAccountStore
) -> None:
    consents = make(Reply.HOUR)
    allowed(consents)
    clock.forward(hours=2)
    assert consents.list() == []
    assert store.names("consent/") == []


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
    make: Callable[..., Consents],
    store: MemoryAccountStore,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[str], str],
) -> None:
    """The person is asked again; what a newer Keyfob may be able to read stays until they answer."""
    consents = make(Reply.ALWAYS, Reply.NO)
    assert allowed(consents)
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


class Slow:
    """A person who looks at one question and answers when they are told to."""

    def __init__(self, *replies: Reply) -> None:
        self.asked: queue.Queue[Question] = queue.Queue()
        self.replies: queue.Queue[Reply] = queue.Queue()
        for reply in replies:
            self.replies.put(reply)

    def __call__(self, question: Question) -> Reply:
        self.asked.put(question)
        return self.replies.get(timeout=30)


class Request:
    """A request that waits for the person."""

    def __init__(self, consents: Consents, program: Program = TOOL, account: str = "alice") -> None:
        self.there = True
        self.answers: queue.Queue[KeyfobError | None] = queue.Queue()
        with pytest.raises(UnansweredError) as caught:
            consents.require(program, f"example/{account}", f"key-{account}")
        caught.value.wait(self.answers.put, lambda: self.there)

    @property
    def answer(self) -> KeyfobError | None:
        return self.answers.get(timeout=10)


def other(number: int) -> Program:
    return replace(TOOL, script=f"/home/me/other-{number}.py")


def test_s81_once_is_shared_by_the_requests_that_wait_with_it(make: Callable[..., Consents]) -> None:
    """S-81: one question for a program and an account, however many requests wait for it."""
    consents = make()
    consents.ask = person = Slow()
    requests = [Request(consents) for _ in range(20)]
    person.asked.get(timeout=10)
    person.replies.put(Reply.ONCE)
    assert [request.answer for request in requests] == [None] * 20
    assert person.asked.empty()
    with pytest.raises(UnansweredError):
        consents.require(TOOL, "example/alice", "key-alice")


def test_s81_questions_and_requests_of_one_program_are_bounded(make: Callable[..., Consents]) -> None:
    """S-81: a program that asks on and on is told to come back, and another one's question is still taken."""
    consents = make()
    consents.ask = person = Slow()
    same = [Request(consents) for _ in range(REQUESTS_OF_ONE - QUESTIONS_OF_ONE)]
    more = [Request(consents, account=f"a{number}") for number in range(QUESTIONS_OF_ONE - 1)]
    with pytest.raises(Transient, match="other questions"):
        Request(consents, account="one-more")
    same.append(Request(consents))
    with pytest.raises(Transient, match="other questions"):
        Request(consents)
    last = Request(consents, other(1))
    assert person.asked.get(timeout=10).program == TOOL
    for reply in (Reply.ONCE, Reply.NO):
        person.replies.put(reply)
    # In turns: the other program's only question is the second one.
    assert person.asked.get(timeout=10).program == other(1)
    assert last.answer is not None
    for _ in more:
        person.replies.put(Reply.ONCE)
    assert [request.answer for request in [*same, *more]] == [None] * (len(same) + len(more))


def test_s81_questions_are_bounded_in_all(make: Callable[..., Consents]) -> None:
    """S-81: many programs together do not fill the memory with questions."""
    consents = make()
    consents.ask = person = Slow()
    waiting = [Request(consents, other(number)) for number in range(QUESTIONS_MOST)]
    with pytest.raises(Transient):
        Request(consents, other(QUESTIONS_MOST))
    for _ in waiting:
        person.replies.put(Reply.NO)
    assert all(request.answer is not None for request in waiting)


def test_nobody_is_asked_for_a_program_that_is_gone(make: Callable[..., Consents]) -> None:
    consents = make()
    consents.ask = person = Slow()
    first, second, third = (Request(consents, other(number)) for number in range(3))
    assert person.asked.get(timeout=10).program == other(0)
    second.there = False
    person.replies.put(Reply.ONCE)
    person.replies.put(Reply.ONCE)
    assert person.asked.get(timeout=10).program == other(2)
    assert (first.answer, third.answer) == (None, None)
    assert second.answers.empty()


def test_unknown_programs_do_not_share_an_answer(make: Callable[..., Consents]) -> None:
    consents = make()
    consents.ask = person = Slow(Reply.ONCE, Reply.NO)
    first, second = Request(consents, Program("")), Request(consents, Program(""))
    assert first.answer is None
    assert second.answer is not None
    assert person.asked.qsize() == 2


@pytest.mark.logs
def test_a_window_that_fails_is_told_to_the_program(make: Callable[..., Consents]) -> None:
    consents = make()

    def broken(question: Question) -> Reply:
        raise RuntimeError("no window")

    consents.ask = broken
    error = Request(consents).answer
    assert error is not None
    assert error.code == "internal"


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


def _cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b"")


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

    def running(self, words: list[str], folder: Path, env: dict[str, str]) -> Program:
        """What a process is taken for, that waits in its standard input."""
        with subprocess.Popen(words, cwd=folder, env=env, stdin=subprocess.PIPE) as process:
            whole = b"".join(word.encode() for word in words[1:])
            until(lambda: whole in _cmdline(process.pid), "the program to run")
            program = program_at(process.pid)
            process.kill()
        return program

    def installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, str]]:
        """Our commands in a folder as an installer places them, this process among them; each waits."""
        bin_ = tmp_path / "bin"
        bin_.mkdir()
        for name in OURS:
            (bin_ / name).write_text(f"#!{sys.executable}\nimport sys; sys.stdin.read()\n")
            (bin_ / name).chmod(0o755)
        monkeypatch.setattr(sys, "argv", [str(bin_ / "keyfob"), "agent"])
        return bin_, {"PATH": os.environ["PATH"], "PYTHONPATH": package_root()}

    @pytest.mark.parametrize("link", [False, True])
    @pytest.mark.parametrize("name", OURS)
    def test_our_own_command_asks_for_whoever_ran_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, link: bool
    ) -> None:
        bin_, env = self.installed(tmp_path, monkeypatch)
        command = bin_ / name
        if link:  # as pipx places it
            command = tmp_path / "linked"
            command.symlink_to(bin_ / name)
        assert self.running([str(command), "token"], tmp_path, env) == program_at(os.getpid())

    @pytest.mark.parametrize("form", ["module", "isolated", "launcher"])
    def test_our_own_command_in_its_other_forms(self, tmp_path: Path, form: str) -> None:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": package_root()}
        words = {
            "module": [sys.executable, "-m", "keyfob", "token", "x", "--rejected-stdin"],
            "isolated": [*own_command(), "token", "x", "--rejected-stdin"],
            "launcher": [sys.executable, "-I", "-S", "-c", LAUNCHER, package_root(), "/bin/cat", "x"],
        }[form]
        # An agent that never answers: the launcher waits for it, and is there to be looked at.
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(tmp_path / "s"))
            silent.listen()
            env |= {"KEYFOB_HOME": str(tmp_path), "KEYFOB_SOCK": str(tmp_path / "s")}
            assert self.running(words, tmp_path, env) == program_at(os.getpid())

    @pytest.mark.parametrize("name", ["keyfob", "git-credential-keyfob", "keyfob/__main__.py"])
    def test_a_script_with_our_name_is_a_program_of_its_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        self.installed(tmp_path, monkeypatch)
        other = tmp_path / "other"
        (other / name).parent.mkdir(parents=True)
        with self.start(other, name, "token", "github") as process:
            program = program_at(process.pid)
            process.communicate("")
        assert program.script == str(other / name)

    def test_a_module_with_our_name_is_a_program_of_its_own(self, tmp_path: Path) -> None:
        (tmp_path / "keyfob.py").write_text("import sys; sys.stdin.read()\n")
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": package_root()}
        program = self.running([sys.executable, "-m", "keyfob", "token"], tmp_path, env)
        assert program.script == "-m keyfob"

    def test_code_with_our_package_in_it_is_a_program_of_its_own(self, tmp_path: Path) -> None:
        words = [sys.executable, "-I", "-c", "import sys; sys.stdin.read()", package_root(), "token"]
        assert self.running(words, tmp_path, dict(os.environ)).script == "-c"

    def test_the_launchers_text_is_known(self) -> None:
        launcher = Path(__file__).resolve().parents[2] / "packaging" / "scripts" / "keyfob-token"
        assert f"'{LAUNCHER}'" in launcher.read_text("utf-8")

    def test_s81_unanswered_questions_of_one_program_do_not_stop_another(self, tmp_path: Path) -> None:
        """S-81: one program asks 70 times and nobody answers; a program
        that is always allowed is served at once.
        """
        ask = (
            "import socket, sys\n"
            "def ask():\n"
            "    s = socket.socket(socket.AF_UNIX); s.settimeout(30); s.connect(sys.argv[1])\n"
            "    s.sendall(b'GET /v1/token/example HTTP/1.1\\r\\nHost: keyfob\\r\\n\\r\\n')\n"
            "    return s\n"
        )
        asking, trusted = tmp_path / "asking.py", tmp_path / "trusted.py"
        asking.write_text(
            ask + "held = [ask() for _ in range(70)]; print('up', flush=True); sys.stdin.read()\n"
        )
        trusted.write_text(ask + "print(ask().recv(9999).decode())\n")
        consents = Consents(
            MemoryAccountStore(), lambda: replace(Settings(), named_app_consent=True), MovingClock(), spawn
        )
        consents.ask = person = Slow(Reply.ALWAYS)
        rig = AgentRig(tmp_path, consent=NamedApps(consents))
        rig.connect()
        with short_folder() as folder, rig.serving(unix(folder), consenting=True):
            path = str(folder / "agent.sock")
            run = [sys.executable, str(trusted), path]
            first = subprocess.run(run, capture_output=True, text=True, timeout=30, check=True)
            assert "access-1" in first.stdout
            assert person.asked.get(timeout=10).program.script == str(trusted)
            with subprocess.Popen(
                [sys.executable, str(asking), path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            ) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == "up\n"
                assert person.asked.get(timeout=10).program.script == str(asking)
                started = time.monotonic()
                again = subprocess.run(run, capture_output=True, text=True, timeout=30, check=True)
                took = time.monotonic() - started
                process.communicate("")
            assert "access-1" in again.stdout
            assert took < 1
            assert person.asked.empty()
            person.replies.put(Reply.NO)

    def test_a_process_that_is_gone_is_an_unknown_program(self) -> None:
        with subprocess.Popen(["true"]) as process:
            process.wait()
        assert program_at(process.pid) == Program("")
        assert program_at(None).name == "an unknown program"


def test_the_versions_of_one_bundle_are_one_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an update, the commands are of the new version while the agent may still be the old one."""
    for version in ("1.0", "2.0"):
        folder = tmp_path / "versions" / version
        (folder / "bin").mkdir(parents=True)
        for name in ("keyfob", "bin/keyfob-token", "other"):
            (folder / name).write_text("")
    other = tmp_path / "elsewhere" / "2.0" / "keyfob"
    other.parent.mkdir(parents=True)
    other.write_text("")
    monkeypatch.setattr("sys.frozen", True, raising=False)
    monkeypatch.setattr("sys.executable", str(tmp_path / "versions" / "1.0" / "keyfob"))
    for version in ("1.0", "2.0"):
        folder = tmp_path / "versions" / version
        assert is_own_command(Program(str(folder / "keyfob")), [])
        assert is_own_command(Program(str(folder / "bin" / "keyfob-token")), [])
        assert not is_own_command(Program(str(folder / "other")), [])
    assert not is_own_command(Program(str(other)), [])
    # Another package than a bundle knows its own folder alone.
    monkeypatch.setattr("sys.executable", str(other))
    assert is_own_command(Program(str(other)), [])
    assert not is_own_command(Program(str(tmp_path / "versions" / "1.0" / "keyfob")), [])
