"""What `wire` and `unwire` show and ask: the changes of a tool's files, and the outcome."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from keyfob.cli.session import Session
from keyfob.core.errors import SignInEnded, Usage
from keyfob.core.text import inert
from keyfob.tools.edits import Change
from keyfob.tools.tool_setup import Lack


def show(session: Session, changes: list[Change]) -> None:
    """As a diff, on stderr."""
    for change in changes:
        for line in change.lines():
            colour = {"+": "green", "-": "red"}.get(line[:1])
            session.note(click.style(inert(line), fg=colour))


def ask(question: str, yes: bool) -> None:
    """Raises Usage if nobody can be asked, SignInEnded if the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Usage(
            "This command needs an answer, but stdin is not a terminal",
            remedy="Check the change above. To make it, add --yes.",
        )
    if not click.confirm(question, err=True):
        raise SignInEnded("Nothing was changed", remedy="Try again when you are ready.")


def print_changes(
    session: Session,
    tool: str,
    changes: list[Change],
    notes: list[str],
    otherwise: str,
    lacking: Sequence[Lack] = (),
    more: Mapping[str, Any] | None = None,
) -> None:
    """`otherwise`: what to say of the tool if nothing was changed. `more`: for the JSON document."""
    if session.json:
        document = {"tool": tool, "changed": [str(change.path) for change in changes], "notes": notes}
        rows = [
            {"account": each.account.id, "access": each.access, "command": each.command} for each in lacking
        ]
        session.document({**document, **({"lacking": rows} if rows else {}), **(more or {})})
        return
    for change in changes:
        session.say(f"Changed {change.path}")
    if not changes and otherwise:
        session.say(f"Nothing to do: {tool} {otherwise}")
    for note in notes:
        session.say(note)
    for lack in lacking:
        text = f"Warning: {lack.account.id} does not have the access that {tool} needs ({lack.access})."
        session.note(click.style(text, fg="yellow"))
        session.note(f"To ask for it, run: {lack.command}")
