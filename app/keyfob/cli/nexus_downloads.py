"""`keyfob nexus download`, `downloads` and `open`: files of mods, in the queue that the window shows too."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from keyfob.cli import remedies, words
from keyfob.cli.nexus_following import follow, progress_words
from keyfob.cli.nexus_session import account_option, complete_mods, game_argument, nexus_of, service_of
from keyfob.cli.notice import notify
from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.core import time_words
from keyfob.core.errors import KeyfobError, Usage
from keyfob.core.text import plain
from keyfob.nexus.addresses import mod_address
from keyfob.nexus.models import DownloadItem
from keyfob.nexus.service import Nexus
from keyfob.nexus.transfers import Transfers


@click.command(short_help="Download files of mods.")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...", shell_complete=complete_mods)
@click.option(
    "--file",
    "file_id",
    type=click.IntRange(min=1),
    metavar="ID",
    help="This file, if the mod offers several. `keyfob nexus files` lists them.",
)
@click.option(
    "--no-wait", is_flag=True, help="End once it is in the queue, if a window or another command runs it."
)
@account_option
@json_option
@pass_session
def download(
    session: Session, addresses: tuple[str, ...], file_id: int | None, no_wait: bool, account: str | None
) -> None:
    """Download the main file of the mod at each ADDRESS into the folder of its game.

    Each file is checked by its size and its MD5. An interrupted download goes on where it was. Nexus Mods
    gives free members a link only by the button on its page: the command says on which, and `keyfob nexus
    open` takes the link.

    \b
    Examples:
      keyfob nexus download skyrimspecialedition/266
      keyfob nexus download https://www.nexusmods.com/eldenring/mods/510 --file 4711
    """
    places = [mod_address(each) for each in addresses]
    if file_id is not None and len(places) > 1:
        raise Usage("--file goes with one address")
    with nexus_of(session) as found:
        service = service_of(session, found, account)
        items = [
            session.finish(partial(service.download, place.game, place.mod_id, file_id or place.file_id))
            for place in places
        ]
        if no_wait and not found.transfers.own:
            _print(session, items)
            return
        follow(session, found, items)


@click.command("open", short_help="Download what a link of the site's button names.")
@click.argument("link")
@click.option(
    "--no-wait", is_flag=True, help="End once it is in the queue, if a window or another command runs it."
)
@click.option("--notify", "notifies", is_flag=True, help="Say how it ends in a notification of the desktop.")
@json_option
@pass_session
def open_(session: Session, link: str, no_wait: bool, notifies: bool) -> None:
    """Download the file that LINK names: an nxm:// link of the button Mod Manager Download. Put it between
    quotes, because a shell reads "&" as its end. If the window is open, the window downloads it.

    A link is for one file and one member, ends after a time, and is used once.

    \b
    Example:
      keyfob nexus open 'nxm://skyrimspecialedition/mods/266/files/4711?key=...&expires=...&user_id=...'
    """
    try:
        with nexus_of(session) as found:
            item = session.finish(lambda: found.open_link(link))
            if (no_wait or notifies) and not found.transfers.own:
                _print(session, [item])
                return
            if notifies:
                notify("Nexus Mods", f"Downloading {item.mod.name} {item.version}")
            follow(session, found, [item])
            if notifies:
                notify("Nexus Mods", f"Downloaded {item.file_name} to {found.folder(item.game.domain)}")
    except KeyfobError as error:
        if notifies:
            notify("Nexus Mods", remedies.sentence(error))
        raise


@click.group(short_help="List, pause, resume and cancel downloads.", invoke_without_command=True)
@json_option
@click.pass_context
def downloads(context: click.Context) -> None:
    """List the downloads: what waits, runs, is paused or stopped, and what is done. ID is the short name in
    the list; its first characters are enough.

    \b
    Examples:
      keyfob nexus downloads
      keyfob nexus downloads resume 3f2a
    """
    if context.invoked_subcommand is not None:
        return
    session = context.find_object(Session)
    assert session is not None
    with nexus_of(session) as found:
        items = session.finish(found.transfers.items)
    _print(session, items)


def _print(session: Session, items: list[DownloadItem]) -> None:
    if session.json:
        session.document({"downloads": [item.to_json() for item in items]})
        return
    if not items:
        session.say("There are no downloads.")
        return
    rows = [
        (
            item.id,
            item.game.domain,
            plain(f"{item.mod.name} {item.version}".strip(), 80),
            _state(session, item),
        )
        for item in items
    ]
    for line in words.table(rows, ("ID", "GAME", "FILE", "STATE")):
        session.say(line)


def _state(session: Session, item: DownloadItem) -> str:
    when = time_words.moment(item.at, session.now())
    match item.state:
        case "done":
            return f"done {when}" + (", checked" if item.md5_checked else "")
        case "stopped":
            return click.style(plain(f"stopped: {item.problem}", 200), fg="red")
        case "link":
            return click.style("needs the site's button", fg="yellow")
        case "paused":
            return "paused"
        case "waiting" | "checking":
            return item.state
        case "running":
            return progress_words(item).rpartition(": ")[2]


def _one(what: str, short: str, text: str, act: Callable[[Transfers, str], None], said: str) -> None:
    """A command below `downloads` for one download."""

    @downloads.command(
        what, short_help=short, help=f"{text}\n\n\b\nExample:\n  keyfob nexus downloads {what} 3f2a"
    )
    @click.argument("id_", metavar="ID", shell_complete=_complete_ids)
    @json_option
    @pass_session
    def command(session: Session, id_: str) -> None:
        with nexus_of(session) as found:
            session.finish(lambda: act(found.transfers, id_))
        if session.json:
            session.document({"id": id_, "done": what})
        else:
            session.say(f"{said} {plain(id_, 20)}")


def _complete_ids(*_: object) -> list[str]:
    from keyfob.nexus.queue import QueueFile
    from keyfob.process.home import open_home

    return [job.id for job in QueueFile(open_home().state).read() if job.state != "done"]


_one(
    "pause",
    "Pause a download.",
    "Pause the download ID. What was received stays.",
    Transfers.pause,
    "Pausing",
)
_one(
    "cancel",
    "Cancel a download.",
    "End the download ID, and delete what was received of it. A finished file stays.",
    Transfers.cancel,
    "Cancelled",
)
_one(
    "keep",
    "Keep a file whose MD5 Nexus Mods does not list.",
    "Give the file of the download ID its name, although Nexus Mods does not list its MD5, so that it may be "
    "damaged.",
    Transfers.keep,
    "Kept",
)


@downloads.command(short_help="Go on with a download, or with all.")
@click.argument("id_", metavar="[ID]", required=False, shell_complete=_complete_ids)
@json_option
@pass_session
def resume(session: Session, id_: str | None) -> None:
    """Go on with the download ID where it was, or with all that wait, are paused or stopped.

    \b
    Example:
      keyfob nexus downloads resume
    """
    with nexus_of(session) as found:
        items = session.finish(lambda: _resumed(found, id_))
        follow(session, found, items)


def _resumed(nexus: Nexus, job_id: str | None) -> list[DownloadItem]:
    open_ones = [item for item in nexus.transfers.items() if item.state not in ("done", "link")]
    wanted = [item for item in open_ones if job_id is None or item.id.startswith(job_id)]
    if job_id is not None and not wanted:
        nexus.transfers.resume(job_id)  # says that there is none, or asks for a new link
        wanted = [item for item in nexus.transfers.items() if item.id.startswith(job_id)]
    nexus.transfers.take()
    for item in wanted:
        if item.state in ("paused", "stopped"):
            nexus.transfers.resume(item.id)
    return wanted


@downloads.command(short_help="Take finished downloads out of the list.")
@json_option
@pass_session
def clear(session: Session) -> None:
    """Take the finished downloads out of the list. Their files stay.

    \b
    Example:
      keyfob nexus downloads clear
    """
    with nexus_of(session) as found:
        session.finish(found.transfers.clear)
    if session.json:
        session.document({"cleared": True})
    else:
        session.say("The finished downloads are out of the list.")


@downloads.command(short_help="Show or choose the folder of a game's downloads.")
@game_argument()
@click.argument("path", required=False, type=click.Path(path_type=Path, file_okay=False))
@json_option
@pass_session
def folder(session: Session, game: str, path: Path | None) -> None:
    """Show where the downloads of GAME go, or choose the folder PATH for them.

    \b
    Example:
      keyfob nexus downloads folder skyrimspecialedition ~/Games/Mods
    """
    with nexus_of(session) as found:
        if path is not None:
            found.set_folder(game, path)
        chosen = found.folder(game)
    if session.json:
        session.document({"game": game, "folder": str(chosen)})
    else:
        session.say(str(chosen))
