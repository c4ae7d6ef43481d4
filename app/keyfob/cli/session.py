"""One run of a command: its engine, its input and its output.

Results go to stdout when they are complete, and everything else to
stderr, so that stdout stays empty if a command fails.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from keyfob.cli.failure import json_text
from keyfob.client.connection import AgentGoneError
from keyfob.core.errors import KeychainError, Transient, Usage
from keyfob.core.secret import Secret
from keyfob.core.text import inert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyfob.core.account import LoggedEvent
    from keyfob.engine import Engine

log = logging.getLogger(__name__)
T = TypeVar("T")
LOOK = 0.1  # seconds between looks for a signal while work goes on; its end is noticed at once
_COLOUR = re.compile(r"(\x1b\[(?:3[1-4]|0)m)")  # red, green, yellow, blue, and their end
MOST_INPUT = 64 * 1024  # characters of a secret on stdin


def utc_now() -> datetime:
    """The wall clock; tests hand in another."""
    return datetime.now(UTC)


class OpenEngine(Protocol):
    """How the commands get an engine; tests pass their own."""

    def __call__(self, folder: Path | None = None, *, in_memory: bool = False) -> Engine:
        """As `open_engine`."""


def open_engine(folder: Path | None = None, *, in_memory: bool = False) -> Engine:
    """The engine of the user's own home, or of the home in `folder`. `in_memory`: its vault forgets
    everything at the end, for a demo without a keychain. Raises as `keyfob.engine.system_ports`.
    """
    from keyfob.engine import build, memory_vault, system_ports
    from keyfob.process import log
    from keyfob.process.home import open_home
    from keyfob.process.team_accounts import TENANT, team_database

    home = open_home({"KEYFOB_HOME": str(folder)}) if folder is not None else open_home()
    log.set_up(home.log)
    if folder is None and not in_memory and team_database(os.environ) is not None:
        from keyfob.gateway.packages import check_packages

        check_packages()
        from keyfob.gateway.team import team_engine

        built = team_engine(home, os.environ, os.environ.get(TENANT) or None)
    else:
        at_terminal = any(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
        vault = memory_vault() if in_memory else None
        built = build(system_ports(home, vault=vault, say=prompting(), patient=at_terminal))
    built.events.subscribe(_alarm)
    return built


def prompting() -> Callable[[str], None] | None:
    """Where the line about a keychain's prompt goes; None if no user is here to answer one."""
    from keyfob.process.terminal import can_ask

    return _write_error if can_ask() else None


def _write_error(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _alarm(event: LoggedEvent) -> None:
    if event.kind == "unsaved":
        _write_error(
            f"The provider sent a new token for {event.account_id}, but the keychain cannot save it. "
            "Unlock the keychain and keep this command running. It saves the token when it can."
        )


class Session:
    """Made once a run, by `main`; `--json` is set by the command's option. `window` opens the desktop app
    with these arguments and returns its exit code. Only `note` may be used from several threads.
    """

    def __init__(
        self,
        window: Callable[[Sequence[str]], int],
        now: Callable[[], datetime] = utc_now,
        open_engine: OpenEngine = open_engine,
        known_accounts: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        self.window = window
        self.now = now
        self.open_engine = open_engine
        self._known_accounts = known_accounts
        self.json = False
        self._engine: Engine | None = None
        self._stdin_for: str | None = None
        self.be_quiet: Callable[[], None] = lambda: None

    @property
    def engine(self) -> Engine:
        """The engine, built when it is first asked for."""
        if self._engine is None:
            self._engine = self.open_engine()
        return self._engine

    def account_ids(self) -> Sequence[str]:
        """For completion. Raises a KeyfobError, OSError."""
        if self._known_accounts is not None:
            return self._known_accounts()
        return [view.id for view in self.engine.accounts.views()]

    def close(self) -> None:
        """Ends the engine, once; `exec` does so before it becomes another program."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def be_verbose(self) -> None:
        """Writes the log to stderr, until `be_quiet` is called."""
        from keyfob.process import log

        self.be_quiet = log.to_stderr()

    # --- speaking -------------------------------------------------------------------------------------------

    def document(self, value: object) -> None:
        """The one JSON document of a verb."""
        click.echo(json_text(value, indent=2))

    def say(self, text: str = "") -> None:
        """A line of result, for users: whatever a provider or a file put
        into it, only Keyfob's own colours reach the terminal.
        """
        click.echo(shown(text), color=None if colourful() else False)

    def note(self, text: str) -> None:
        """Progress and advice, on stderr; as `say`. A stderr that takes nothing changes no result."""
        with suppress(OSError):
            click.echo(shown(text), err=True, color=None if colourful() else False)

    def exactly(self, text: str) -> None:
        """A result that a program reads, to the letter: a token, a path, a script."""
        click.echo(text)

    # --- reading --------------------------------------------------------------------------------------------

    def secret_from_stdin(self, option: str, prompt: str) -> Secret:
        """The first line of stdin, asked for without echo on a terminal. Raises Usage if it is empty, or
        where stdin was promised to another option already.
        """
        if self._stdin_for is not None:
            raise Usage(f"{option} and {self._stdin_for} both read stdin", remedy="Use only one of them.")
        self._stdin_for = option
        return self.next_secret(option, prompt)

    @staticmethod
    def next_secret(option: str, prompt: str) -> Secret:
        """The next line of stdin, for the second part of a secret. Raises Usage if it is empty."""
        if sys.stdin.isatty():
            text = str(click.prompt(prompt, hide_input=True, err=True, default="", show_default=False))
        else:
            text = sys.stdin.readline(MOST_INPUT)
        text = text.strip()
        if not text:
            raise Usage(f"{option} needs input on stdin", remedy="Pipe in the secret on one line.")
        return Secret(text)

    @property
    def stdin_is_free(self) -> bool:
        """Whether stdin is not yet taken by a secret or a body."""
        return self._stdin_for is None

    # --- the keychain ---------------------------------------------------------------------------------------

    def from_agent(self, ask: Callable[[], T]) -> T:
        """What `ask` gets from the agent. An agent opens no prompt: when the keychain is locked and a user is
        here to unlock it, that is done from here, and the agent is asked again.
        """
        from keyfob.process.terminal import ASKABLE, can_ask

        try:
            answer = ask()
            log.debug("the agent answered")
            return answer
        except AgentGoneError:
            log.debug("no agent answers, so this process does it")
            raise
        except KeychainError as error:
            if error.code not in ASKABLE or not can_ask():
                raise
            vault = self.engine.vault
            if not self.finish(vault.probe).ok:
                raise
        return ask()

    # --- working --------------------------------------------------------------------------------------------

    def finish(self, work: Callable[[], T], *, stop: Callable[[], object] | None = None) -> T:
        """Run `work` on a thread and wait for it. A renewal whose request has left must not be cut short, or
        its answer and with it the session is lost: Ctrl-C, SIGTERM and a closed terminal call `stop` if there
        is one, and otherwise wait for the end before Transient `interrupted` is raised.
        """
        done = threading.Event()
        box: list[T] = []
        failure: list[BaseException] = []

        def run() -> None:
            try:
                box.append(work())
            except BaseException as error:
                failure.append(error)
            finally:
                done.set()

        with _signals_noted() as noted:
            threading.Thread(target=run, name="work", daemon=True).start()
            heard = 0
            while not done.wait(LOOK):
                if len(noted) > heard:
                    if stop is not None:
                        stop()
                    elif heard == 0:
                        self._give_up_waiting()
                        self.note("Finishing, so that nothing is lost …")
                    heard = len(noted)
        if failure:
            raise failure[0]
        if noted and stop is None:
            raise Transient("Interrupted", code="interrupted")
        return box[0]

    def _give_up_waiting(self) -> None:
        """A keychain's prompt is not waited for any more, nor a keychain that does not save a grant: a
        separate process stands by for that.
        """
        if self._engine is not None:
            self._engine.keeper.saving.let_go()
        give_up = getattr(self._engine.vault, "give_up", None) if self._engine is not None else None
        if give_up is not None:
            give_up()


def shown(text: str) -> str:
    """The text with nothing in it that steers a terminal but the colours of `words` and `wire`."""
    parts = _COLOUR.split(text)
    return "".join(part if n % 2 else inert(part) for n, part in enumerate(parts))


def colourful() -> bool:
    """Whether colours are wanted, if the stream can show them (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


@contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """SIGINT, SIGTERM and SIGHUP are written down instead of ending the process: an exception raised from a
    handler could come anywhere, also in the middle of dealing with the one before. Elsewhere than on the main
    thread nothing is changed.
    """
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return

    def note(number: int, _frame: FrameType | None) -> None:
        noted.append(number)

    before = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` stays in force
            before[number] = signal.signal(number, note)
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
