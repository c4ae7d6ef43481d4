"""`keyfob desktop-entry`: Keyfob in the application menu, for an installation without a system package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.core.errors import Usage
from keyfob.ports import MenuEntry
from keyfob.updates.installation import this_installation

BY_PACKAGE = ("deb", "rpm", "flatpak", "snap", "package")  # kinds of installation that bring the menu entry


@click.group("desktop-entry", short_help="Add Keyfob to the application menu, or remove it.")
def desktop_entry() -> None:
    """Add Keyfob to your application menu, with its icons, and let the desktop start it through D-Bus. For
    installations with pipx, uv tool or from a folder. A package of your system brings all of this.

    \b
    Examples:
      keyfob desktop-entry install
      keyfob desktop-entry remove
    """


@desktop_entry.command(short_help="Add Keyfob to the application menu.")
@click.option("--autostart", is_flag=True, help="Also start Keyfob at login, as the setting start_at_login.")
@json_option
@pass_session
def install(session: Session, autostart: bool) -> None:
    """Write the menu entry, the icons and the D-Bus service into your own folders. Run it again after you
    moved or updated Keyfob. A file that another program wrote is never replaced.

    \b
    Examples:
      keyfob desktop-entry install
      keyfob desktop-entry install --autostart
    """
    entry = _entry(session)
    if this_installation().kind in BY_PACKAGE:
        raise Usage(
            "The package of Keyfob has added it to the application menu",
            remedy="If it is missing there, log in again.",
        )
    already = session.engine.autostart.enabled()
    files = entry.install(autostart=autostart and not already)
    if autostart:
        _start_at_login(session, True)
    if session.json:
        session.document({"installed": True, "files": _paths(files), "start_at_login": autostart or already})
        return
    session.say(f"Keyfob is in the application menu: {files[-1]}")
    if autostart:
        session.say("Keyfob starts at login.")


@desktop_entry.command(short_help="Remove what install added.")
@json_option
@pass_session
def remove(session: Session) -> None:
    """Remove the files that `keyfob desktop-entry install` wrote, and nothing else. An icon or a service that
    was changed since stays. Your accounts stay too.

    \b
    Example:
      keyfob desktop-entry remove
    """
    entry = _entry(session)
    autostart = entry.state().autostart
    removed, kept = entry.remove()
    if autostart:
        _start_at_login(session, False)
    on = session.engine.autostart.enabled()
    if session.json:
        session.document(
            {"installed": False, "removed": _paths(removed), "kept": _paths(kept), "start_at_login": on}
        )
        return
    if removed:
        session.say("Keyfob is not in the application menu any more.")
    else:
        session.say("Keyfob is not in your application menu.")
    for path in kept:
        session.note(f"{path} was changed since and stays.")
    if on:
        session.note(
            "Keyfob still starts at login. To end that, run: keyfob settings set start_at_login false"
        )


@desktop_entry.command(short_help="Show whether Keyfob is in the application menu.")
@json_option
@pass_session
def status(session: Session) -> None:
    """Show whether Keyfob is in your application menu, and whether the entry is up to date.

    \b
    Example:
      keyfob desktop-entry status --json
    """
    found = _entry(session).state()
    on = session.engine.autostart.enabled()
    if session.json:
        session.document(
            {
                "installed": found.installed,
                "current": found.current,
                "foreign": found.foreign,
                "entry": str(found.path),
                "files": _paths(found.files),
                "missing": _paths(found.missing),
                "start_at_login": on,
            }
        )
        return
    if found.foreign:
        session.say(f"Another program wrote the menu entry {found.path}.")
    elif not found.installed:
        session.say("Keyfob is not in your application menu. To add it, run: keyfob desktop-entry install")
    elif found.current:
        session.say(f"Keyfob is in the application menu: {found.path}")
    else:
        session.say("The menu entry is out of date. To renew it, run: keyfob desktop-entry install")
    session.say(f"Start at login is {'on' if on else 'off'}.")


def _entry(session: Session) -> MenuEntry:
    entry = session.engine.menu_entry
    if not entry.supported:
        raise Usage(
            "Menu entries of this kind exist on Linux only",
            remedy="On Windows, make a shortcut to keyfob-window. On macOS, use the app bundle.",
        )
    return entry


def _start_at_login(session: Session, on: bool) -> None:
    """The system's entry and the setting, as Settings and `keyfob settings set` change them."""
    session.engine.autostart.enable(on)
    was = session.engine.settings.load()
    session.engine.settings.save(replace(was, start_at_login=on), was=was)


def _paths(files: Sequence[Path]) -> list[str]:
    return [str(path) for path in files]
