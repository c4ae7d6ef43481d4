"""`keyfob nexus`: the account at Nexus Mods put to use. Downloads and links have files of their own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

import click

from keyfob.cli import words
from keyfob.cli.nexus_downloads import download, downloads, open_
from keyfob.cli.nexus_following import follow, shows_progress
from keyfob.cli.nexus_links import links
from keyfob.cli.nexus_mods import mods
from keyfob.cli.nexus_session import (
    account_option,
    complete_games,
    complete_mods,
    game_argument,
    nexus_of,
    note_limits,
    service_of,
)
from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.core import time_words
from keyfob.core.amounts import size_text
from keyfob.core.errors import Transient
from keyfob.core.text import plain
from keyfob.nexus.addresses import mod_address
from keyfob.nexus.models import Limits, Mod, ModState
from keyfob.nexus.reading import CATEGORY_WORDS
from keyfob.nexus.service import NexusService
from keyfob.nexus.site import List


@click.group(short_help="Use your account of Nexus Mods: mods, updates, downloads.")
def nexus() -> None:
    """Use your account of Nexus Mods: see what is new for your mods, and download files.

    GAME is the game's name in addresses, such as skyrimspecialedition. A mod is named by the address of its
    page, or as GAME/ID. To connect an account, run `keyfob connect nexusmods`.

    \b
    Examples:
      keyfob nexus mods add https://www.nexusmods.com/skyrimspecialedition/mods/266 --installed 4.2.1
      keyfob nexus updates
      keyfob nexus download skyrimspecialedition/266
    """


nexus.add_command(mods)
nexus.add_command(download)
nexus.add_command(downloads)
nexus.add_command(open_)
nexus.add_command(links)


@nexus.command(short_help="Show who the account is, and which requests are left.")
@account_option
@json_option
@pass_session
def whoami(session: Session, account: str | None) -> None:
    """Show the account's name and membership, and how many requests Nexus Mods still allows.

    \b
    Example:
      keyfob nexus whoami --json | jq .limits.daily_left
    """
    with nexus_of(session) as found:
        service = service_of(session, found, account)
        profile = session.finish(service.profile)
        limits = session.finish(service.read_limits)
    if session.json:
        session.document({"account": service.account, **profile.to_json(), "limits": limits.to_json()})
        return
    pairs = [
        ("Account", service.account),
        ("Name", profile.name),
        ("Member", str(profile.member_id)),
        ("Membership", profile.membership),
        ("Left today", _left(session, limits.daily_left, limits.daily_limit, limits, hourly=False)),
        ("Left this hour", _left(session, limits.hourly_left, limits.hourly_limit, limits, hourly=True)),
    ]
    for line in words.facts(pairs):
        session.say(line)
    note_limits(session, limits)


def _left(
    session: Session, left: int | None, limit: int | None, limits: Limits, *, hourly: bool
) -> str | None:
    if left is None:
        return None
    again = limits.hourly_resets_at if hourly else limits.daily_resets_at
    text = f"{left:,} of {limit:,}" if limit is not None else f"{left:,}"
    return f"{text}, more {time_words.moment(again, session.now())}" if again and left != limit else text


@nexus.command(short_help="List your games, or all of the site.")
@click.option("--all", "everything", is_flag=True, help="List all games of the site.")
@click.option("--add", metavar="GAME", shell_complete=complete_games, help="Add a game to yours.")
@click.option(
    "--remove", metavar="GAME", help="Take a game out of yours. Its mods stay, and keep it in the list."
)
@account_option
@json_option
@pass_session
def games(
    session: Session, everything: bool, add: str | None, remove: str | None, account: str | None
) -> None:
    """List the games of your mods and those that you added, with the folder of their downloads.

    \b
    Examples:
      keyfob nexus games --all --json | jq -r '.games[] | select(.name | test("Souls")).domain'
      keyfob nexus games --add eldenring
    """
    with nexus_of(session) as found:
        service = service_of(session, found, account)
        if add is not None:
            session.finish(lambda: service.choose_game(add.lower(), on=True))
        if remove is not None:
            session.finish(lambda: service.choose_game(remove.lower(), on=False))
        listed = session.finish(service.all_games if everything else service.games)
        folders = {} if everything else {game.domain: str(found.folder(game.domain)) for game in listed}
    if session.json:
        rows = [
            game.to_json() | ({"folder": folders[game.domain]} if game.domain in folders else {})
            for game in listed
        ]
        session.document({"games": rows})
        return
    if not listed:
        session.say("There are no games yet. To add one, run: keyfob nexus games --add GAME")
        return
    head = ("GAME", "NAME") if everything else ("GAME", "NAME", "DOWNLOADS GO TO")
    lines = [(game.domain, game.name, *([] if everything else [folders[game.domain]])) for game in listed]
    for line in words.table(lines, head):
        session.say(line)


@nexus.command(short_help="Check your mods for newer files.")
@game_argument(required=False)
@click.option("--download", "fetch", is_flag=True, help="Download the newer files.")
@account_option
@json_option
@pass_session
def updates(session: Session, game: str | None, fetch: bool, account: str | None) -> None:
    """Check the mods in your list, of GAME or of all games, and list those with newer files.

    Keyfob follows what the author marked as the newer file. If there are several, it says so, and you choose
    one with `keyfob nexus download --file`.

    \b
    Examples:
      keyfob nexus updates
      keyfob nexus updates skyrimspecialedition --download
    """
    with nexus_of(session) as found:
        service = service_of(session, found, account)
        states = checked(session, service, game)
        newer = [each for each in states if each.state in ("update", "choose")]
        note_limits(session, service.limits)
        wanted = [each for each in newer if each.newest_file_id is not None]
        if fetch and (wanted or session.json):
            items = [session.finish(partial(service.update, each)) for each in wanted]
            for each in newer:
                if each not in wanted:
                    session.note(f"{plain(each.mod.name, 120)}: {_newest(each)} ({each.mod.page})")
            follow(session, found, items)
            return
    if session.json:
        session.document({"checked": len(states), "mods": [each.to_json() for each in newer]})
        return
    if not newer:
        session.say(_nothing_newer(states))
        return
    rows = [
        (f"{each.mod.game}/{each.mod.mod_id}", each.mod.name, each.installed_version or "", _newest(each))
        for each in newer
    ]
    for line in words.table(rows, ("MOD", "NAME", "INSTALLED", "NEWEST")):
        session.say(line)


def checked(session: Session, service: NexusService, game: str | None) -> list[ModState]:
    """The mods after a check, with a line of progress on a terminal. Ctrl-C ends it between two mods."""
    shown, stop = shows_progress(session), threading.Event()

    def report(done: int, total: int) -> None:
        if stop.is_set():
            raise Transient("Interrupted", code="interrupted", remedy="What was found so far is kept.")
        if shown:
            click.echo(f"\rChecking {done} of {total} mods\x1b[K", nl=False, err=True)

    try:
        return session.finish(lambda: service.check(game, report), stop=stop.set)
    finally:
        if shown:
            click.echo("\r\x1b[K", nl=False, err=True)


def _newest(state: ModState) -> str:
    return state.newest or "several files: choose on the page"


def _nothing_newer(states: Sequence[ModState]) -> str:
    if not states:
        return "There are no mods in your list yet. To add one, run: keyfob nexus mods add ADDRESS"
    return (
        f"No newer files for your {len(states)} mods." if len(states) > 1 else "No newer files for your mod."
    )


@nexus.command(short_help="List what is trending, new or updated in a game.")
@game_argument()
@click.option("--new", "which", flag_value="latest_added", help="List the newest mods.")
@click.option("--updated", "which", flag_value="latest_updated", help="List the mods that changed last.")
@click.option("--adult", is_flag=True, help="Include adult content.")
@account_option
@json_option
@pass_session
def trending(session: Session, game: str, which: List | None, adult: bool, account: str | None) -> None:
    """List ten mods of GAME: what is trending, or what `--new` or `--updated` asks for.

    \b
    Examples:
      keyfob nexus trending skyrimspecialedition
      keyfob nexus trending eldenring --new --json
    """
    with nexus_of(session) as found:
        service = service_of(session, found, account)
        listed = session.finish(lambda: service.browse(game, which or "trending", adult=adult or None))
        note_limits(session, service.limits)
    if session.json:
        session.document({"mods": [mod.to_json() for mod in listed]})
        return
    for line in words.table([_row(mod) for mod in listed], ("MOD", "NAME", "AUTHOR", "VERSION", "DOWNLOADS")):
        session.say(line)


def _row(mod: Mod) -> tuple[str, ...]:
    count = f"{mod.downloads:,}" if mod.downloads is not None else ""
    return (f"{mod.game}/{mod.mod_id}", mod.name, mod.author, mod.version, count)


@nexus.command(short_help="List the files that a mod offers.")
@click.argument("address", shell_complete=complete_mods)
@account_option
@json_option
@pass_session
def files(session: Session, address: str, account: str | None) -> None:
    """List the files of the mod at ADDRESS that can be downloaded, the newest first.

    \b
    Example:
      keyfob nexus files skyrimspecialedition/266
    """
    place = mod_address(address)
    with nexus_of(session) as found:
        service = service_of(session, found, account)
        listed = session.finish(lambda: service.files(place.game, place.mod_id))
    if session.json:
        session.document({"files": [file.to_json() for file in listed]})
        return
    rows = [
        (
            str(file.file_id),
            file.name,
            file.version,
            CATEGORY_WORDS.get(file.category, ""),
            size_text(file.size) if file.size is not None else "",
        )
        for file in listed
    ]
    for line in words.table(rows, ("FILE", "NAME", "VERSION", "KIND", "SIZE")):
        session.say(line)
