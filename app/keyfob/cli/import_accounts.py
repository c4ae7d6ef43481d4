"""`keyfob import`: keys and accounts from other tools' files and from another computer's export.

Shows only the last characters of what it found, asks, moves it, and
offers to remove the moved keys from their files.
"""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from keyfob.cli import remedies, words
from keyfob.cli.agent_sign_in import begin_at_agent
from keyfob.cli.completing import complete_source
from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.cli.through_agent import holder, keep_client_at_agent
from keyfob.core.account import AccountView
from keyfob.core.errors import KeychainError, KeyfobError, SettingWrong, SignInEnded, Transient
from keyfob.core.text import plain
from keyfob.ports import Blanked
from keyfob.service.accounts.views import SignInRequest
from keyfob.tools.imports import KEY, READ_ONLY, SIGN_IN, SOURCES, UNKNOWN, Elsewhere, Found, NewPreset

PATH_MOST = 4096  # characters of a path that is shown
WAYS = {
    KEY: "moves to the keychain",
    SIGN_IN: "needs you to sign in",
    READ_ONLY: "stays where it is",
    UNKNOWN: "needs --provider",
}


@click.command("import", short_help="Move keys and accounts from other tools' files.")
@click.argument("source", required=False, metavar="[SOURCE]", shell_complete=complete_source)
@click.option(
    "--file", "path", type=click.Path(path_type=Path), help="The file to read. SOURCE then names its format."
)
@click.option("--provider", metavar="ID", help="The provider of the keys, if the file does not say.")
@click.option("--dry-run", is_flag=True, help="Show what would be moved, and move nothing.")
@click.option(
    "--blank/--keep",
    default=None,
    help="Remove the moved keys from their file, or keep them there. Default: ask.",
)
@json_option
@pass_session
def import_accounts(
    session: Session,
    source: str | None,
    path: Path | None,
    provider: str | None,
    dry_run: bool,
    blank: bool | None,
) -> None:
    """Move keys and accounts to Keyfob from SOURCE: a file, or the store of gh, git-credentials, netrc,
    codex, claude or emailproxy in its usual place. Without SOURCE, show what is in those stores and move
    nothing.

    A file can also be an environment file (env), JSON with a Nexus Mods key (nexus), or the output of `keyfob
    export` (keyfob). Keyfob detects the format. To set it yourself, use --file FILE and give the format as
    SOURCE.

    Keyfob tests each key at its provider before saving it. If a sign-in cannot be moved, Keyfob adds the
    account and you sign in once. If an export contains an unknown provider, Keyfob shows its addresses first.
    Keyfob does not use a refresh token that another tool keeps renewing. Keys are shown by their last
    characters only. --blank removes the moved keys from the file and changes nothing else. A backup stays
    next to the file until you remove it. The backup still contains the keys.

    \b
    Examples:
      keyfob import
      keyfob import gh
      keyfob import .env --blank
      keyfob import ~/.git-credentials --provider gitea
    """
    found = _find(session, source, path, provider)
    movable = [each for each in found if each.way in (KEY, SIGN_IN)]
    if source is None or dry_run or not movable:
        _print_result(session, found, [], [], [])
        if not session.json and source is None and movable:
            session.note("Move them with: keyfob import SOURCE")
        return
    moved, failed = _move(session, movable)
    keys = [each for each, _ in moved if each.way == KEY]
    blanked = session.engine.imports.blank(keys) if keys and _blank_wanted(session, blank, keys) else []
    _print_result(session, found, moved, failed, blanked)
    errors = [each.error for each in blanked if each.error is not None]
    for error in errors[1:]:
        session.note(remedies.sentence(error))
    if errors:
        raise errors[0]


def _find(session: Session, source: str | None, path: Path | None, provider: str | None) -> list[Found]:
    """What SOURCE or FILE holds, shown already unless it goes out as JSON."""
    imports = session.engine.imports
    if path is not None:
        found = imports.look(path.expanduser().absolute(), source=source, provider=provider)
    elif source is None:
        found = imports.find()
    elif source in SOURCES and not Path(source).exists():
        found = imports.find(source, provider=provider)
    else:
        found = imports.look(Path(source).expanduser().absolute(), provider=provider)
    if not session.json:
        for line in _listed(found):
            session.note(line)
    return found


def _refused_presets(session: Session, movable: list[Found]) -> dict[NewPreset | None, KeyfobError]:
    """Shows where each new preset leads before it is taken, and asks on a terminal. One that bears another's
    name is never taken unseen.
    """
    refused: dict[NewPreset | None, KeyfobError] = {}
    for new in dict.fromkeys(each.preset for each in movable if each.preset):
        session.note(
            f"The export contains a provider that Keyfob does not know: {new.id}, called "
            f"{plain(new.title, 60)}."
        )
        session.note(
            "Keyfob would sign in at, and send tokens to: "
            f"{', '.join(plain(host, 120) for host in new.hosts)}"
        )
        if new.pretends:
            session.note(f"It is not the {plain(new.pretends, 60)} that Keyfob knows.")
        if sys.stdin.isatty() and not session.json:
            if not click.confirm("Add this provider?", default=not new.pretends, err=True):
                refused[new] = SignInEnded(f"The provider {new.id} was not added")
        elif new.pretends:
            refused[new] = SettingWrong(
                f"The provider {new.id} uses the name of {plain(new.pretends, 60)} but other addresses",
                code="preset_faulty",
                remedy="Check the addresses above. To add it anyway, run this in a terminal.",
            )
    return refused


def _blank_wanted(session: Session, wanted: bool | None, keys: list[Found]) -> bool:
    files = ", ".join(plain(path, PATH_MOST) for path in dict.fromkeys(each.path for each in keys))
    if wanted is None and sys.stdin.isatty() and not session.json:
        wanted = click.confirm(f"Remove the moved keys from {files}? A backup stays next to it", err=True)
    if not wanted:
        session.note(f"The moved keys are still in {files}, in plain text. To remove them, use --blank.")
    return bool(wanted)


def _move(
    session: Session, movable: list[Found]
) -> tuple[list[tuple[Found, Any]], list[tuple[Found, KeyfobError]]]:
    """Each on its own: one key that its provider refuses does not delay the next. Raises the first error if
    none could be moved.
    """
    refused = _refused_presets(session, movable)
    moved: list[tuple[Found, Any]] = []
    failed: list[tuple[Found, KeyfobError]] = []
    imports, elsewhere = session.engine.imports, _elsewhere(session)
    for each in movable:
        if each.preset in refused:
            continue
        session.note(f"{_name(each)} …")
        try:
            view = session.finish(lambda each=each: imports.move(each, _spawn, elsewhere))  # type: ignore[misc]
            moved.append((each, view))
        except (KeychainError, SignInEnded):
            raise  # nothing further can be kept, or the user has had enough
        except KeyfobError as error:
            failed.append((each, error))
            session.note(f"  {remedies.sentence(error)}")
    failed += [(each, refusal) for each in movable if (refusal := refused.get(each.preset))]
    if failed and not moved:
        raise failed[0][1]
    return moved, failed


def _elsewhere(session: Session) -> Elsewhere | None:
    """The agent that has the encrypted file; None if this process moves the keys."""
    if holder(session) is None:
        return None

    def sign_in(request: SignInRequest) -> AccountView:
        attempt = begin_at_agent(session, request)
        if attempt is None:
            raise Transient("The agent stopped while keys were moved", code="interrupted")
        return attempt.run()

    return Elsewhere(sign_in, partial(keep_client_at_agent, session))


def _listed(found: list[Found]) -> list[str]:
    rows = []
    for each in found:
        tail = f"…{each.tail}" if each.tail else ""
        rows.append([_name(each), tail, WAYS[each.way], plain(each.path, PATH_MOST)])
    if not rows:
        return []
    lines = words.table(rows, ["FOUND", "KEY", "WHAT HAPPENS", "WHERE"])
    reasons = dict.fromkeys(each.reason for each in found if each.reason)
    return lines + [f"  {plain(reason, 300)}." for reason in reasons]


def _name(each: Found) -> str:
    new = each.preset.title if each.preset else each.entry.provider  # of an export, not known here yet
    where = each.provider_title or new or each.entry.host or each.tool
    return plain(f"{where} ({each.username})" if each.username else where, 80)


def _print_result(
    session: Session,
    found: list[Found],
    moved: list[tuple[Found, Any]],
    failed: list[tuple[Found, KeyfobError]],
    blanked: list[Blanked],
) -> None:
    if session.json:
        session.document(
            {
                "found": [each.to_json() for each in found],
                "accounts": [view.to_json() for _, view in moved],
                "failed": [{**each.to_json(), "code": error.code} for each, error in failed],
                "blanked": [str(each.path) for each in blanked if each.backup],
                "backups": [str(each.backup) for each in blanked if each.backup],
            }
        )
        return
    for each, view in moved:
        if each.way == SIGN_IN:
            session.say(f"{view.id}: {words.status(view.status)}. Run: keyfob reconnect {view.id}")
        else:
            session.say(f"Connected as {words.who(view)}: {view.id}")
    for done in blanked:
        if done.backup is not None:
            shown, command = plain(done.backup, PATH_MOST), f"rm {shlex.quote(str(done.backup))}"
            session.say(f"Removed the moved keys from {plain(done.path, PATH_MOST)}")
            session.say(f"  The backup still contains them: {shown}")
            # A name that cannot be shown as it is would make the command another one.
            how = f": {command}" if plain(command, PATH_MOST) == command else "."
            session.say(f"  When your tools work, remove the backup{how}")
    if len(moved) == 0 and found and not failed:
        session.say(f"{len(found)} found, none moved")
    if not found:
        session.say("Nothing found.")


def _spawn(work: Callable[[], None], name: str) -> None:
    threading.Thread(target=work, name=name, daemon=True).start()
