"""`keyfob update`: looks for a newer version of Keyfob, and changes to it."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Literal

import click

from keyfob.agent.remedies import REMEDIES
from keyfob.cli.options import json_option, pass_session
from keyfob.cli.remedies import sentence
from keyfob.cli.session import Session, colourful
from keyfob.client import running_agent
from keyfob.core.amounts import left_text, rate_text, size_text
from keyfob.core.errors import KeyfobError, SignInEnded
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.core.times import to_rfc3339
from keyfob.process.home import open_home
from keyfob.updates.change import Stage, Watcher
from keyfob.updates.download import Progress
from keyfob.updates.github_account import github_token
from keyfob.updates.service import Updates, UpdateStatus

pre_option = click.option("--pre", is_flag=True, help="Take pre-releases too.")
NOTES_MOST = 40  # lines of the notes that a terminal shows
CHANGED_WITHIN = 90.0  # seconds: a renewal that has begun is finished first
# What became of the agent: changed to the new version, still the older one, the app's, or there is none.
Running = Literal["changed", "older", "window", "none"]
_RUNNING: dict[Running, str] = {
    "changed": "The agent has changed to it.",
    "older": "The agent that runs uses it once it is started again.",
    "window": "The app that runs uses it once you quit it and open it again.",
    "none": "It is used from the next start on.",
}
_DOING: dict[Stage, str] = {
    "unpacking": "Unpacking and checking it",
    "trying": "Starting it once",
}


@click.group(short_help="Look for a newer version of Keyfob, and install it.")
def update() -> None:
    """Look for a newer version of Keyfob, and install it.

    A copy that a package manager installed is updated by that package manager: then these commands say which
    command does it.

    \b
    Examples:
      keyfob update check
      keyfob update install
    """


@update.command(short_help="Say whether there is a newer version.")
@pre_option
@json_option
@pass_session
def check(session: Session, pre: bool) -> None:
    """Look for a newer version now, and say what is new in it. Nothing is installed.

    \b
    Examples:
      keyfob update check
      keyfob update check --json
    """
    updates, cancelled = _updates(session), threading.Event()
    status = session.finish(lambda: updates.look(pre=pre, cancelled=cancelled), stop=cancelled.set)
    if session.json:
        session.document(_to_json(status))
        return
    _say(session, status)


@update.command(short_help="Install the newest version.")
@pre_option
@json_option
@pass_session
def install(session: Session, pre: bool) -> None:
    """Install the newest version, if this is not it. Accounts and settings stay as they are.

    Keyfob verifies the publisher's signature before it unpacks anything, and keeps the old version: if the
    new one does not start, the old one is used again. Ctrl-C stops, and the next run continues the download.

    \b
    Examples:
      keyfob update install
      keyfob update install --pre
    """
    updates, cancelled = _updates(session), threading.Event()
    shower = _Shower(session)

    def work() -> str | None:
        watcher = Watcher(shower.stage, shower.progress)
        return updates.install(pre=pre, watcher=watcher, cancelled=cancelled)

    try:
        installed = session.finish(work, stop=cancelled.set)
    except SignInEnded as error:
        raise SignInEnded(
            "The update was cancelled, and nothing was changed",
            code=error.code,
            remedy="What was downloaded is kept. To continue, run `keyfob update install` again.",
        ) from None
    finally:
        shower.end()
    status = updates.status()
    running = _pass_on(session) if installed is not None else "none"
    if session.json:
        session.document({**_to_json(status), "changed": installed is not None, "agent": running})
    elif installed is None:
        _say(session, status)
    else:
        session.say(f"Keyfob {plain(installed, 40)} is installed.")
        session.say(_RUNNING[running])


def _pass_on(session: Session) -> Running:
    """Have the agent that runs become the new version, and wait until it answers."""
    try:
        found = running_agent.standing()
        if not found:
            return "none" if found is None else "older"
        if found.get("window"):
            return "window"
        if running_agent.restart_agent() is None:
            return "none"
    except KeyfobError as error:
        session.note(f"The agent: {sentence(error)}")
        return "older"
    end = time.monotonic() + CHANGED_WITHIN
    while time.monotonic() < end:
        time.sleep(0.1)
        try:
            now = running_agent.standing()
        except KeyfobError:
            continue
        if now and now.get("version") != found.get("version"):
            return "changed"
    return "older"


def _updates(session: Session) -> Updates:
    def token() -> Secret | None:
        return github_token(session.engine.accounts)

    return Updates.of_this_copy(open_home(), remedies=REMEDIES, token=token)


def _say(session: Session, status: UpdateStatus) -> None:
    if status.newest is not None:
        session.say(f"Keyfob {plain(status.newest, 40)} is available. This is version {status.installed}.")
        lines = status.notes.strip().splitlines()
        for line in ["", *lines[:NOTES_MOST], *(["…"] if len(lines) > NOTES_MOST else [])] if lines else []:
            session.say(f"  {line}".rstrip())
        session.say()
        command = "keyfob update install" if status.state == "newer" else status.command
        if command:
            session.say(f"To install it, run: {command}")
        else:
            session.say("Get it from where you got Keyfob.")
    elif status.next_start is not None:
        session.say(f"Keyfob {plain(status.next_start, 40)} is installed and used from the next start on.")
    elif status.checked_at is not None:
        session.say(f"Keyfob {status.installed} is the newest version.")
    else:
        session.say(f"This is Keyfob {status.installed}. To update it, run: {status.command}")


def _to_json(status: UpdateStatus) -> dict[str, Any]:
    return {
        "state": status.state,
        "installed": status.installed,
        "newest": status.newest,
        "notes": status.notes or None,
        "checked_at": to_rfc3339(status.checked_at) if status.checked_at else None,
        "command": status.command,
        "next_start": status.next_start,
    }


class _Shower:
    """Shows on stderr how far it is: one line that is written over on a terminal, else a line a stage."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._on_terminal = sys.stderr.isatty() and colourful()
        self._written = 0

    def stage(self, stage: Stage) -> None:
        """What is done now."""
        if self._session.json:
            return
        if stage in _DOING:
            self.end()
            self._session.note(f"{_DOING[stage]} …")

    def progress(self, now: Progress) -> None:
        """How much of the archive is here."""
        if not self._on_terminal or self._session.json:
            return
        of = f" of {size_text(now.total)}" if now.total is not None else ""
        parts = [f"Downloading: {size_text(now.received)}{of}"]
        if now.rate > 0:
            parts += [rate_text(now.rate), *filter(None, [left_text(now.seconds_left)])]
        text = ", ".join(parts)
        sys.stderr.write(f"\r{text.ljust(self._written)}")
        sys.stderr.flush()
        self._written = len(text)

    def end(self) -> None:
        """Leave the line."""
        if self._written:
            sys.stderr.write("\n")
            sys.stderr.flush()
            self._written = 0
