"""`keyfob tools`: the companion tools on this computer, and their updates."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from keyfob.cli.options import F, json_option, pass_session
from keyfob.cli.preset_file import faulty
from keyfob.cli.remedies import sentence
from keyfob.cli.session import Session
from keyfob.core.amounts import left_text, rate_text, size_text
from keyfob.core.errors import Usage
from keyfob.core.text import plain
from keyfob.process.home import open_home
from keyfob.updates.companion_files import read_file, standard
from keyfob.updates.companion_service import Follow, Step
from keyfob.updates.companions import Standing
from keyfob.updates.download import Progress

STATES = {
    "not_installed": "not installed",
    "unchecked": "not checked yet",
    "current": "up to date",
    "update": "update",
    "unknown": "unknown version",
}
STEPS: dict[Step, str] = {
    "downloading": "Downloading …", "checking": "Checking the download …", "installing": "Installing …",
}  # fmt: skip
HEADINGS = ("Tool", "Installed", "Newest")
OFTEN = 0.5  # seconds between two lines of progress on a terminal


def _complete_tools(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    found = standard(open_home().config).all()
    return [CompletionItem(each.id, help=each.title) for each in found if each.id.startswith(incomplete)]


def names_argument(function: F) -> F:
    """Any number of tools; the shell completes them."""
    return click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=_complete_tools)(function)


@click.group(short_help="List, check and update the tools that use your accounts.")
def tools() -> None:
    """List, check and update the tools that you use with your accounts, such as gh, kubectl and me3.

    Keyfob asks for newer versions only of tools that are installed, and with your GitHub account if one is
    connected. It updates a copy that is yours. What a package manager or a version manager has installed is
    left to it.

    To add a tool, put its file into the folder companions of Keyfob's configuration.

    \b
    Examples:
      keyfob tools list
      keyfob tools check
      keyfob tools update gh
      keyfob tools validate mytool.toml
    """


@tools.command("list", short_help="List the tools and their versions.")
@json_option
@pass_session
def list_tools(session: Session) -> None:
    """List the tools and their versions, with what the last check found. It does not use the network.

    \b
    Example:
      keyfob tools list --json
    """
    _print(session, session.engine.companions.all())


@tools.command(short_help="Ask whether there are newer versions.")
@names_argument
@json_option
@pass_session
def check(session: Session, names: tuple[str, ...]) -> None:
    """Ask for the newest version of each tool NAME, or of all that are installed. Nothing is installed.

    A source that cannot be reached is shown for its tool, and the others are checked.

    \b
    Examples:
      keyfob tools check
      keyfob tools check gh rclone
    """
    cancelled = threading.Event()
    companions = session.engine.companions
    found = session.finish(lambda: companions.check(names, cancelled), stop=cancelled.set)
    _print(session, found)


@tools.command(short_help="Install the newest version of a tool.")
@click.argument("name", shell_complete=_complete_tools)
@click.option("--install", "anew", is_flag=True, help="Also if the tool is not installed, into ~/.local/bin.")
@click.option(
    "--unverified", is_flag=True, help="Also if no checksum is published to compare the download with."
)
@json_option
@pass_session
def update(session: Session, name: str, anew: bool, unverified: bool) -> None:
    """Install the newest version of the tool NAME in the place of the installed one.

    The download is compared with its published checksum. The old copy comes back if the new one does not
    start. Ctrl-C cancels the download, and the next run continues it.

    \b
    Examples:
      keyfob tools update gh
      keyfob tools update rclone --install
    """
    cancelled = threading.Event()
    companions = session.engine.companions
    before = companions.one(name)
    shown = Lines(session)
    follow = Follow(shown.progress, shown.step)
    after = session.finish(
        lambda: companions.update(name, follow, cancelled, unverified=unverified, anew=anew),
        stop=cancelled.set,
    )
    shown.end()
    if session.json:
        session.document(as_json(after))
        return
    old = before.installed.version if before.installed is not None else None
    new = after.installed.version if after.installed is not None else None
    if old == new:
        session.say(f"{after.companion.title} {new} is up to date.")
    else:
        session.say(f"{after.companion.title} {new} is installed." + (f" It was {old}." if old else ""))


@tools.command(short_help="Check the file of a tool.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@pass_session
def validate(session: Session, file: Path) -> None:
    """Check FILE, which describes a tool, and name all its errors.

    \b
    Example:
      keyfob tools validate mytool.toml
    """
    if not file.is_file():
        raise Usage(f"There is no file {plain(file, 200)}")
    tool, faults = read_file(file)
    if tool is None:
        raise faulty(file.name, faults, "tool_file_faulty")
    if session.json:
        session.document({"file": str(file), "ok": True, "faults": []})
        return
    session.say(f"{file.name} is valid.")


class Lines:
    """Progress as lines on stderr: on a terminal, and not with --json."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._on = sys.stderr.isatty() and not session.json
        self._last = 0.0

    def progress(self, progress: Progress) -> None:
        """How far it is, now and then. Called on the update's thread."""
        now = time.monotonic()
        if not self._on or now - self._last < OFTEN:
            return
        self._last = now
        amount = size_text(progress.received)
        if progress.total is not None:
            amount += f" of {size_text(progress.total)}"
        parts = [amount, rate_text(progress.rate), left_text(progress.seconds_left)]
        self._session.note("  " + ", ".join(part for part in parts if part))

    def step(self, step: Step) -> None:
        """What begins now."""
        if self._on:
            self._session.note(STEPS[step])

    def end(self) -> None:
        """No more lines."""
        self._on = False


def as_json(standing: Standing) -> dict[str, Any]:
    """A tool as `--json` prints it."""
    tool, copy, newest, problem = (
        standing.companion, standing.installed, standing.newest, standing.problem,
    )  # fmt: skip
    return {
        "name": tool.id,
        "title": tool.title,
        "providers": list(tool.providers),
        "wire": tool.wire,
        "state": standing.state,
        "installed": copy.version if copy is not None else None,
        "path": str(copy.path) if copy is not None else None,
        "managed_by": (copy.owner.name or "system") if copy and copy.owner.kind in MANAGED else None,
        "newest": newest.version if newest is not None else None,
        "page": newest.page or None if newest is not None else None,
        "checked_at": standing.checked_at.isoformat().replace("+00:00", "Z") if standing.checked_at else None,
        "installable": standing.installable,
        "command": command_of(standing) or None,
        "error": None
        if problem is None
        else {"code": problem.code, "message": problem.message, "advice": problem.advice},
    }


MANAGED = ("manager", "everyone")


def command_of(standing: Standing) -> str:
    """What the user runs to update the tool, if that is not Keyfob's to do."""
    tool, copy = standing.companion, standing.installed
    if copy is None or standing.installable:
        return ""
    return copy.owner.command or ("" if copy.owner.kind == "manager" else tool.install.command or "")


def _print(session: Session, standings: Sequence[Standing]) -> None:
    if session.json:
        session.document({"tools": [as_json(each) for each in standings]})
        return
    shown = sorted(standings, key=lambda each: each.state == "not_installed")
    rows = [_row(each) for each in shown]
    widths = [max(len(row[n]) for row in (HEADINGS, *rows)) for n in range(3)]
    session.say("  ".join(name.ljust(width) for name, width in zip(HEADINGS, widths, strict=True)).rstrip())
    for row, standing in zip(rows, shown, strict=True):
        session.say("  ".join([*(row[n].ljust(widths[n]) for n in range(3)), row[3]]).rstrip())
        if standing.problem is not None:
            session.note(click.style(f"{standing.companion.id}: {sentence(standing.problem)}", fg="yellow"))
    for fault in session.engine.companions.files.faults():
        session.note(click.style(fault.sentence(), fg="yellow"))


def _row(standing: Standing) -> tuple[str, str, str, str]:
    """Name, installed version, newest version, and what to do."""
    copy, newest = standing.installed, standing.newest
    words = STATES[standing.state]
    if standing.state == "update" and newest is not None:
        command = (
            f"keyfob tools update {standing.companion.id}" if standing.installable else command_of(standing)
        )
        where = f", managed by {copy.owner.name}" if copy is not None and copy.owner.name else ""
        words = f"update to {newest.version}{where}" + (f": {command}" if command else "")
    installed = (copy.version or "?") if copy is not None else "-"
    return standing.companion.id, installed, newest.version if newest is not None else "-", words
