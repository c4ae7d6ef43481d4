"""One line of `build/kills`: a victim, a vault and a server's grace, and so many kills."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import support
from keyfob.adapters.vault.choice import SEALED_FILE
from keyfob.adapters.vault.sealed import SealedVault
from keyfob.adapters.vault.system import SystemVault
from keyfob.core.errors import KeychainError
from keyfob.core.secret import Secret
from keyfob.process.home import open_home
from support.agent_rig import Reply, get, post
from support.misbehaving import Misbehaving
from support.session import DesktopSession
from support.whole_engine import Whole

ANSWERING = 0.02  # s from the server's commit to its answer, as over a network
NEAR = 0.12  # s after the request arrived, within which 80 % of the kills fall
NEAR_SHARE = 0.8
GRACES = (0, 30)  # s
PASSPHRASE = "a passphrase for a measurement"
REQUEST_WITHIN = 30.0  # s from the start of a renewal to its request at the server
SETTLED_WITHIN = 10.0  # s until an answer that was lost is there again
USED_WITHIN = 45.0  # s until an account can be used again, a keychain that starts included
LINES = {
    f"{victim}-{vault}-{grace}": (victim, vault, grace)
    for victim, vaults in {
        "agent": ("keyring", "sealed"),
        "renew": ("keyring", "sealed"),
        "helper": ("keyring",),
        "daemon": ("keyring",),
    }.items()
    for vault in vaults
    for grace in GRACES
}
WHO = {
    "agent": "agent",
    "renew": "`keyfob renew`, no agent",
    "helper": "keychain helper (the agent lives)",
    "daemon": "keychain daemon (the agent lives)",
}
VAULTS = {"keyring": "GNOME Keyring", "sealed": "sealed file"}


@dataclass
class Line:
    victim: str
    vault: str
    grace: int
    kills: int = 0
    committed: int = 0  # of them, after the server had taken the refresh token
    lost: int = 0  # of them, sessions that the server no longer knows
    refused: int = 0  # uses that failed though the session lives
    near: int = (
        0  # tries within NEAR; those that the victim had outrun count too, or the window would seem longer
    )
    near_lost: int = 0
    seconds: float = 0.0

    @property
    def window(self) -> float:
        """ms in which a kill costs the session."""
        return 1000 * NEAR * self.near_lost / self.near if self.near else 0.0


def measured(name: str, kills: int) -> dict[str, Any]:
    """Runs one line to its end. Every process that it started has ended when it returns or raises."""
    victim, vault, grace = LINES[name]
    line = Line(victim, vault, grace)
    began = time.monotonic()
    with ExitStack() as stack:
        ground = Ground(stack, vault, grace)
        way = WAYS[victim](ground)
        stack.callback(way.end)
        span = statistics.median(_whole(way) for _ in range(5))
        chance = random.Random()
        while line.kills < kills:
            _round(ground, way, line, span, chance)
    line.seconds = time.monotonic() - began
    return asdict(line) | {"window": line.window}


def _whole(way: Way) -> float:
    """One renewal that is not killed: its seconds."""
    began = time.monotonic()
    way.begin()
    way.settle()
    took = time.monotonic() - began
    assert way.use() == "served"
    return took


def _round(ground: Ground, way: Way, line: Line, span: float, chance: random.Random) -> None:
    near = chance.random() < NEAR_SHARE
    spent = ground.provider.spent()
    ground.arrived.clear()
    way.begin()
    if near:
        assert ground.arrived.wait(REQUEST_WITHIN), "no request came"
        time.sleep(chance.uniform(0, NEAR))
    else:
        time.sleep(chance.uniform(0, span))
    killed = way.kill()
    line.near += near
    if not killed and way.harmless:
        return
    time.sleep(ANSWERING)  # a request that is on its way is carried out
    committed = ground.provider.spent() > spent
    came = way.use()
    if killed:
        line.kills += 1
        line.committed += committed
    lives, came = _settled(ground, way, came)
    if lives:
        line.refused += came != "served"
        return
    assert killed, "a session was lost without a kill"
    line.lost += 1
    line.near_lost += near
    ground.sign_in_again()


def _settled(ground: Ground, way: Way, came: str) -> tuple[bool, str]:
    """Once an answer that was lost has been asked for again: whether the session lives, and what the
    account's last use gave. While that is under way the old token is served, and the next kill would hit the
    repeat.
    """
    end = time.monotonic() + SETTLED_WITHIN
    while time.monotonic() < end:
        lives, open_ = ground.lives(), bool(ground.whole.engine.store.intents())
        if came == "ended" or (lives and not open_):
            return lives, came
        time.sleep(0.02)
        came = way.use()
    return ground.lives(), came


# --- the ground: a home, its vault, its provider ------------------------------------------------------------


class Ground:
    """A separate home with one account `here`, at a server that rotates strictly."""

    def __init__(self, stack: ExitStack, vault: str, grace: int) -> None:
        folder = Path(tempfile.mkdtemp(prefix="kfk-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        self.session: DesktopSession | None = None
        self.env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        if vault == "keyring":
            self.session = stack.enter_context(DesktopSession())
            self.env = self.session.env
            stack.enter_context(self.session.applied())
        self.provider = stack.enter_context(Misbehaving(grace=float(grace)))
        self.arrived = threading.Event()
        home = open_home({"KEYFOB_HOME": str(folder / "home")})
        self.sealed = vault == "sealed"
        if self.sealed:
            (home.config / "settings.json").write_text(json.dumps({"vault": "sealed"}))
            secret = Secret(PASSPHRASE)
            self.whole = Whole(
                folder,
                self.provider,
                vault=SealedVault(home.id, home.data / SEALED_FILE, lambda _new: secret),
            )
        else:
            self.whole = Whole(folder, self.provider, vault=SystemVault(home.id))
        stack.callback(self.whole.engine.close)
        self.whole.connect()
        self.provider.after["/token"] = self._committed
        self.socket = home.run / "agent.sock"
        self.env |= {"KEYFOB_HOME": str(home.root), "LANG": "C.UTF-8"}

    def _committed(self) -> None:
        self.arrived.set()
        time.sleep(ANSWERING)

    def start(self, *argv: str, program: list[str] | None = None) -> subprocess.Popen[str]:
        """`keyfob` with these words. Another `program` gets the passphrase's descriptor as its last one."""
        read, write = os.pipe()
        os.write(write, PASSPHRASE.encode() + b"\n")
        os.close(write)
        try:
            if program is None:
                command = [sys.executable, "-m", "keyfob", *argv]
            else:
                command = [*program, str(read)] if self.sealed else program
            return subprocess.Popen(
                command,
                env=self.env | ({"KEYFOB_PASSPHRASE_FD": str(read)} if self.sealed else {}),
                pass_fds=(read,) if self.sealed else (),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        finally:
            os.close(read)

    def lives(self) -> bool:
        """Whether the server takes the refresh token that the vault holds."""
        refresh = self._vault(lambda: self.whole.grant().refresh)
        return refresh is not None and self.provider.knows(refresh.reveal())

    def sign_in_again(self) -> None:
        self._vault(lambda: self.whole.connect(account="here"))

    def _vault(self, work: Callable[[], object]) -> object:
        try:
            return work()
        except KeychainError:
            if isinstance(self.whole.vault, SystemVault):
                self.whole.vault.close()  # the connection to a daemon that was killed
            return work()


# --- who is killed ------------------------------------------------------------------------------------------


class Way:
    """How a renewal is begun, its victim killed, and the account used again."""

    harmless = False  # a victim that was not hit has ended well, and nothing is to be looked at

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    def begin(self) -> None:
        """Begin a renewal, and return at once."""
        raise NotImplementedError

    def kill(self) -> bool:
        """SIGKILL the victim; False when it had ended before."""
        raise NotImplementedError

    def settle(self) -> None:
        """Wait until a renewal that is not killed has ended."""

    def use(self) -> str:
        """What comes of asking for the token, at once: `served`, `ended`
        (sign in again), or another error.
        """
        raise NotImplementedError

    def end(self) -> None:
        """End every process of this line."""


class Renewals(Way):
    """What `keyfob renew` does without an agent, in a child of a process that has done the imports before;
    the next command is a real `keyfob token`.
    """

    harmless = True

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._token: subprocess.Popen[str] | None = None
        self._child: int | None = None  # a handle, not a number that another process may have by then
        script = Path(support.__path__[0], "renewing_children.py")
        self._maker = ground.start(program=[sys.executable, str(script), str(ground.whole.home.root)])
        assert self._said() == "ready"

    def _said(self) -> str:
        assert self._maker.stdout is not None
        return self._maker.stdout.readline().strip()

    def begin(self) -> None:
        assert self._maker.stdin is not None
        self._maker.stdin.write("here\n")
        self._maker.stdin.flush()
        self._child = os.pidfd_open(int(self._said()))

    def kill(self) -> bool:
        assert self._child is not None
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._child, signal.SIGKILL)
        return self._ended() == "killed"

    def settle(self) -> None:
        ended = self._ended()
        assert ended == "ended 0", ended

    def _ended(self) -> str:
        assert self._child is not None
        os.close(self._child)
        self._child = None
        return self._said()

    def use(self) -> str:
        asked = self._token = self.ground.start("token", "here")
        out, err = asked.communicate(timeout=2 * USED_WITHIN)
        if asked.returncode == 0:
            assert out.strip() in self.ground.provider.access
            return "served"
        return "ended" if asked.returncode == 3 else err.strip()

    def end(self) -> None:
        if self._token is not None and self._token.poll() is None:
            self._token.kill()
            self._token.communicate()
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._child, signal.SIGKILL)
            os.close(self._child)
        self._maker.communicate(timeout=USED_WITHIN)


class Agent(Way):
    """An agent that a tool tells of a refused token; the next agent is asked for the token."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._asking: threading.Thread | None = None
        self._token = ground.whole.token()
        self._agent = self._started()

    def _started(self) -> subprocess.Popen[str]:
        agent = self.ground.start("agent")
        assert agent.stderr is not None
        said = agent.stderr.readline()
        if "answers your tools" not in said:
            agent.kill()
            raise AssertionError(said + agent.communicate()[1])
        return agent

    def begin(self) -> None:
        self.use()  # the token that is refused must be the current one

        def ask() -> None:
            with contextlib.suppress(OSError, EOFError, ValueError):
                post(self.ground.socket, "/v1/token/here", {"rejected": self._token})

        self._asking = threading.Thread(target=ask, daemon=True)
        self._asking.start()

    def settle(self) -> None:
        if self._asking is not None:
            self._asking.join(USED_WITHIN)

    def kill(self) -> bool:
        self._agent.kill()
        self._agent.communicate()
        self.settle()
        self._agent = self._started()
        return True

    def use(self) -> str:
        end = time.monotonic() + USED_WITHIN
        while True:
            answer = self._ask()
            if answer is not None and answer.status == 200:
                self._token = answer.json["token"]
                assert self._token in self.ground.provider.access
                return "served"
            if answer is not None and answer.json["advice"] == "sign_in_again":
                return "ended"
            if time.monotonic() > end:
                return "no answer" if answer is None else str(answer.json["code"])
            time.sleep(0.05)

    def _ask(self) -> Reply | None:
        try:
            return get(self.ground.socket, "/v1/token/here")
        except (OSError, EOFError, ValueError):
            return None

    def end(self) -> None:
        self._agent.kill()
        self._agent.communicate()


class Helper(Agent):
    """The process in which the agent calls the keychain."""

    def kill(self) -> bool:
        found = list(_children(self._agent.pid, "vault.helper"))
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.settle()
        return bool(found)


class Daemon(Agent):
    """The keychain's own daemon. It is started again 0.1 s later, as D-Bus would."""

    def kill(self) -> bool:
        session = self.ground.session
        assert session is not None
        session.kill_keyring()
        time.sleep(0.1)
        session.start_keyring()
        self.settle()
        return True


WAYS: dict[str, Callable[[Ground], Way]] = {
    "agent": Agent,
    "renew": Renewals,
    "helper": Helper,
    "daemon": Daemon,
}


def _children(pid: int, mark: str) -> Iterator[int]:
    """The children of `pid` with `mark` in their command line."""
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in listed.read_text().split():
            with contextlib.suppress(OSError):
                if mark.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                    yield int(child)


# --- the table ----------------------------------------------------------------------------------------------


def table(found: list[dict[str, Any]], jobs: int) -> str:
    rows = [
        "| who was killed | vault | grace | kills | after the server's commit | sessions lost | window |",
        "|---|---|---|---|---|---|---|",
    ]
    notes = []
    for each in found:
        window = f"about {each['window']:.0f} ms" if each["lost"] else "none seen"
        rows.append(
            f"| {WHO[each['victim']]} | {VAULTS[each['vault']]} | {each['grace']} s | {each['kills']} | "
            f"{each['committed']} | {each['lost']} | {window} |"
        )
        if each["refused"]:
            notes.append(
                f"{each['victim']}-{each['vault']}-{each['grace']}: {each['refused']} uses failed though "
                "the session lives."
            )
    load = "one line at a time" if jobs == 1 else f"{jobs} lines at a time"
    cores = os.cpu_count()
    about = (
        f"{time.strftime('%d %B %Y', time.gmtime())}, {cores} cores, {load}, Python {sys.version.split()[0]}."
    )
    return "\n".join([*rows, "", about, *notes])
