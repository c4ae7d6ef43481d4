"""`keyfob nexus mods`: the list of the user's mods."""

from __future__ import annotations

import click

from keyfob.cli import words
from keyfob.cli.nexus_session import (
    account_option,
    complete_games,
    complete_mods,
    nexus_of,
    note_limits,
    service_of,
)
from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.core.errors import Usage
from keyfob.core.text import plain
from keyfob.nexus.addresses import mod_address
from keyfob.nexus.models import ModState


@click.group(short_help="List your mods, add and remove them.", invoke_without_command=True)
@click.option("--game", metavar="GAME", shell_complete=complete_games, help="Only the mods of this game.")
@account_option
@json_option
@click.pass_context
def mods(context: click.Context, game: str | None, account: str | None) -> None:
    """List your mods: those that you track at Nexus Mods, and those that you added by address.

    The states are those of the last `keyfob nexus updates`.

    \b
    Examples:
      keyfob nexus mods --game skyrimspecialedition
      keyfob nexus mods add skyrimspecialedition/266 --installed 4.2.1
    """
    if context.invoked_subcommand is not None:
        return
    session = context.find_object(Session)
    assert session is not None
    with nexus_of(session) as found:
        service = service_of(session, found, account)
        listed = session.finish(lambda: service.mods(game.lower() if game else None))
        note_limits(session, service.limits)
    if session.json:
        session.document({"mods": [each.to_json() for each in listed]})
        return
    if not listed:
        session.say("There are no mods in your list yet. To add one, run: keyfob nexus mods add ADDRESS")
        return
    rows = [
        (f"{each.mod.game}/{each.mod.mod_id}", each.mod.name, each.installed_version or "", state_words(each))
        for each in listed
    ]
    for line in words.table(rows, ("MOD", "NAME", "INSTALLED", "STATE")):
        session.say(line)


def state_words(state: ModState) -> str:
    """A mod's state, in color."""
    match state.state:
        case "current":
            return click.style("current", fg="green")
        case "update":
            return click.style(f"update to {plain(state.newest or '?', 50)}", fg="yellow")
        case "choose":
            return click.style("newer files: choose on the page", fg="yellow")
        case "hidden":
            return (
                plain(state.mod.status, 40).replace("_", " ") if state.mod.status != "published" else "hidden"
            )
        case "unknown":
            return "not checked" if state.installed_version or state.installed_file_id else "not installed"


@mods.command(short_help="Add a mod to your list.")
@click.argument("address", shell_complete=complete_mods)
@click.option("--installed", metavar="VERSION", help="The version that you have installed.")
@click.option("--track", is_flag=True, help="Track it at Nexus Mods too.")
@account_option
@json_option
@pass_session
def add(session: Session, address: str, installed: str | None, track: bool, account: str | None) -> None:
    """Add the mod at ADDRESS to your list.

    \b
    Examples:
      keyfob nexus mods add https://www.nexusmods.com/skyrimspecialedition/mods/266 --installed 4.2.1
      keyfob nexus mods add eldenring/510 --track
    """
    place = mod_address(address)
    with nexus_of(session) as found:
        service = service_of(session, found, account)
        state = session.finish(lambda: service.add_mod(address, version=installed))
        if track:
            session.finish(lambda: service.track(place.game, place.mod_id, on=True))
    _print(session, state, "Added")


@mods.command(short_help="Remove a mod from your list.")
@click.argument("address", shell_complete=complete_mods)
@account_option
@json_option
@pass_session
def remove(session: Session, address: str, account: str | None) -> None:
    """Remove the mod at ADDRESS from your list, and stop tracking it at Nexus Mods. No file is deleted.

    \b
    Example:
      keyfob nexus mods remove skyrimspecialedition/266
    """
    place = mod_address(address)
    with nexus_of(session) as found:
        service = service_of(session, found, account)
        session.finish(lambda: service.remove_mod(place.game, place.mod_id))
    if session.json:
        session.document({"removed": f"{place.game}/{place.mod_id}"})
    else:
        session.say(f"Removed {place.game}/{place.mod_id}")


@mods.command(short_help="Say which version of a mod is installed.")
@click.argument("address", shell_complete=complete_mods)
@click.argument("version", required=False)
@click.option(
    "--file", "file_id", type=click.IntRange(min=1), metavar="ID", help="The file's number instead."
)
@click.option("--none", "nothing", is_flag=True, help="It is not installed.")
@account_option
@json_option
@pass_session
def installed(
    session: Session,
    address: str,
    version: str | None,
    file_id: int | None,
    nothing: bool,
    account: str | None,
) -> None:
    """Say which VERSION or file of the mod at ADDRESS is installed, so that Keyfob can look for newer files.
    A file that Keyfob downloads counts as installed.

    \b
    Examples:
      keyfob nexus mods installed skyrimspecialedition/266 4.2.1
      keyfob nexus mods installed skyrimspecialedition/266 --none
    """
    if sum((version is not None, file_id is not None, nothing)) != 1:
        raise Usage("Give a version, --file or --none")
    place = mod_address(address)
    with nexus_of(session) as found:
        service = service_of(session, found, account)
        state = session.finish(
            lambda: service.set_installed(place.game, place.mod_id, version=version, file_id=file_id)
        )
    _print(session, state, "Noted for")


def _print(session: Session, state: ModState, what: str) -> None:
    if session.json:
        session.document(state.to_json())
    else:
        session.say(f"{what} {plain(state.mod.name, 120)} ({state.mod.game}/{state.mod.mod_id})")
