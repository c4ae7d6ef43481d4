"""`keyfob remove --everything`: what it says, asks and reports. `everything` does the work."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import click

from keyfob.cli.agent_actions import stop_running
from keyfob.cli.everything import Found, Removed, look, remove_all
from keyfob.cli.failure import FaultyError
from keyfob.cli.session import Session
from keyfob.client import running_agent
from keyfob.core.errors import SettingWrong, SignInEnded, Usage
from keyfob.core.text import plain
from keyfob.core.words import KEEPER_ROLE
from keyfob.process import paths
from keyfob.service.accounts.views import Disconnection

GROUPS = {
    "client": "client secrets and registrations",
    "jwk": "private keys",
    "revoke": "revocations that wait",
}


def remove_everything(session: Session, *, local: bool, keep_settings: bool, yes: bool) -> None:
    """Raises Usage if nobody can be asked, or the app runs; SignInEnded if the answer is no; and what `look`
    and `remove_all` raise. Something that could not be deleted is exit 8, with each thing and its reason.
    """
    is_new = not Path(paths.folders(os.environ)["data"], "home-id").exists()
    engine = session.engine
    if engine.locks.held(KEEPER_ROLE) and (running_agent.standing() or {}).get("window"):
        raise Usage("The app is running", remedy="Quit Keyfob in its window, then run this again.")
    found = look(engine, local=local, keep_settings=keep_settings)
    is_nothing = is_new and not (found.starters or found.entries)
    if not is_nothing:
        _say_found(session, found, local=local, keep_settings=keep_settings)
        _ask(yes)
    stop = threading.Event()
    done = session.finish(
        lambda: remove_all(
            engine, found, local=local, keep_settings=keep_settings, stop=stop,
            stop_agent=lambda: stop_running(session), close=session.close,
        ),
        stop=stop.set,
    )  # fmt: skip
    if any(not left.harmless for left in done.left):
        lines = [f"Not deleted: {left.what}. {left.why.rstrip('.')}." for left in done.left]
        raise FaultyError(
            SettingWrong(
                "Not everything could be deleted",
                code="not_all_removed",
                remedy="Correct what the lines above say, then run the command again.",
            ),
            lines,
            _document(found, done),
        )
    if session.json:
        session.document(_document(found, done))
    elif is_nothing:
        session.say(f"Keyfob has nothing here: no account, no entry in {found.vault}, no settings.")
    else:
        _say_done(session, done)


def _say_found(session: Session, found: Found, *, local: bool, keep_settings: bool) -> None:
    """On stderr, as the question is: stdout is for what was done."""
    say = session.note
    say("This deletes:")
    if found.accounts:
        say(f"  {_count(len(found.accounts), 'account')}: {plain(', '.join(found.accounts), 400)}")
    if found.entries is None:
        say(f"  {found.vault}, with all tokens in it")
    elif found.entries:
        say(f"  {_count(len(found.entries), 'entry', 'entries')} in {found.vault}{_kinds(found.entries)}")
    for tool in found.tools:
        say(f"  the setup of {tool}, whose files are restored")
    for what, path in found.starters:
        say(f"  {what}: {path}")
    presets = f", {_count(found.presets, 'preset')} of your own" if found.presets else ""
    say("  the history, the log and downloaded pictures" if keep_settings else
        f"  the settings{presets}, the history, the log and downloaded pictures")  # fmt: skip
    for path in found.folders:
        say(f"    {path}")
    if found.accounts:
        say(
            "The tokens are not revoked at the providers, because you used --local."
            if local
            else "Keyfob asks the providers to revoke the tokens first. To skip that, use --local."
        )


def _kinds(names: tuple[str, ...]) -> str:
    counts: dict[str, int] = {}
    for name in names:
        head = name.split("/")[0]
        kind = GROUPS.get(head) or (GROUPS["client"] if name.endswith("/client") else "tokens of accounts")
        counts[kind] = counts.get(kind, 0) + 1
    return f" ({', '.join(f'{kind}: {count}' for kind, count in sorted(counts.items()))})"


def _ask(yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Usage(
            "This command needs an answer, but stdin is not a terminal",
            remedy="Check the list above. To delete all of it, add --yes.",
        )
    if not click.confirm("Delete all of this?", err=True):
        raise SignInEnded("Nothing was deleted", remedy="Run the command again when you are ready.")


def _say_done(session: Session, done: Removed) -> None:
    for account, title, ended in done.accounts:
        session.say(f"Removed {account}. {_how(ended, title)}")
    for account, outcome in done.waiting:
        if outcome != "yes":
            session.say(f"An earlier sign-in of {account} could not be revoked at the provider.")
    for path in done.restored:
        session.say(f"{'Restored' if path.exists() else 'Deleted'} {path}")  # wire may have made the file
    for path in done.deleted:
        session.say(f"Deleted {path}")
    for left in done.left:
        session.say(f"Not deleted: {left.what}. {left.why.rstrip('.')}.")
    session.say("Keyfob has nothing left here.")


def _how(ended: Disconnection, title: str) -> str:
    if ended.revoked == "yes":
        return "The provider confirmed that it is revoked."
    if ended.reason == "nothing_left":
        return "There was no token to revoke."
    page = f"open {ended.page}" if ended.page else f"use your account settings at {title}"
    why = (
        "Its tokens were not revoked."
        if ended.reason == "local"
        else "The provider did not revoke its tokens."
    )
    return f"{why} To end access there, {page}."


def _document(found: Found, done: Removed) -> dict[str, Any]:
    """Of `--json`. A revocation that the provider has not confirmed is not tried again: `unsupported`."""

    return {
        "found": found.to_json(),
        "accounts": [
            {
                "id": account,
                "revoked": "yes" if ended.revoked == "yes" else "unsupported",
                "reason": ended.reason or ("unconfirmed" if ended.revoked == "pending" else None),
                "page": ended.page,
            }
            for account, _, ended in done.accounts
        ],
        "restored": [str(path) for path in done.restored],
        "deleted": [str(path) for path in done.deleted],
        "left": [{"what": left.what, "why": left.why} for left in done.left],
    }


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
