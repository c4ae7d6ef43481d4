"""Follows downloads until they end: a line of progress on a terminal, the files as the result."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Sequence

import click

from keyfob.cli.nexus_session import error_of
from keyfob.cli.session import Session
from keyfob.core.amounts import left_text, rate_text, size_text
from keyfob.core.errors import SignInEnded, Transient
from keyfob.core.text import plain
from keyfob.nexus.models import DownloadItem
from keyfob.nexus.service import Nexus, link_needed

LOOK = 0.25  # seconds between looks
ENDED = ("done", "stopped", "paused", "link")


def follow(session: Session, nexus: Nexus, wanted: Sequence[DownloadItem]) -> None:
    """Wait for the downloads, print their files, and raise the error of the first that did not end well."""
    ids = [item.id for item in wanted]
    left = threading.Event()

    def wait() -> list[DownloadItem]:
        while True:
            items = [item for item in nexus.transfers.items() if item.id in ids]
            _progress(session, items)
            if all(item.state in ENDED for item in items) or left.is_set():
                return items
            left.wait(LOOK)

    try:
        items = session.finish(wait, stop=left.set)
    finally:
        _progress(session, [])
    if left.is_set():
        raise Transient(
            "Interrupted",
            code="interrupted",
            remedy="To go on where it was, run the command again, or `keyfob nexus downloads resume`.",
        )
    done = [item for item in items if item.state == "done"]
    if not session.json:
        for item in done:
            session.say(str(item.path))
    elif len(done) == len(ids):
        session.document({"downloads": [item.to_json() for item in items]})
    _refuse(items)
    if len(items) < len(ids):
        raise SignInEnded(
            "A download was cancelled", code="cancelled", remedy="Run the command again to start it."
        )


def _refuse(items: Sequence[DownloadItem]) -> None:
    """Raises the error of the first that did not end well."""
    for item in items:
        if item.state == "link":
            raise error_of(item) if item.code else link_needed(item)
        if item.state == "paused":
            raise Transient(
                f"{plain(item.file_name, 120)} is paused",
                code="interrupted",
                remedy=f"To go on, run `keyfob nexus downloads resume {item.id}`.",
            )
        if item.state == "stopped":
            raise error_of(item)


def shows_progress(session: Session) -> bool:
    """Whether stderr is a terminal that can redraw a line."""
    return not session.json and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _progress(session: Session, items: Sequence[DownloadItem]) -> None:
    """One line for what runs, on a terminal alone. Without items, the line is removed."""
    if not shows_progress(session):
        return
    running = [item for item in items if item.state in ("running", "checking", "waiting")]
    text = "; ".join(progress_words(item) for item in running[:2])
    room = shutil.get_terminal_size().columns - 1
    click.echo(f"\r{plain(text, room) if text else ''}\x1b[K", nl=False, err=True)


def progress_words(item: DownloadItem) -> str:
    """How far a download is: `Quiet Roads 1.9.2: 184 MB of 512 MB, 11.3 MB/s, 29 s left`."""
    name = plain(f"{item.mod.name} {item.version}".strip(), 60)
    if item.state == "checking":
        return f"{name}: checking"
    if item.state == "waiting":
        return f"{name}: waiting"
    amount = size_text(item.received) + (f" of {size_text(item.total)}" if item.total else "")
    parts = [amount, rate_text(item.rate) if item.rate else "", left_text(item.seconds_left)]
    return f"{name}: {', '.join(part for part in parts if part)}"
