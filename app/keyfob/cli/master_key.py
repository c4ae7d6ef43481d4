"""`keyfob gateway master-key`: the keys that protect the secrets in a team's database."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.core.errors import Usage
from keyfob.process.team_accounts import KEY_FILE

if TYPE_CHECKING:
    from keyfob.engine import TeamDatabase


@click.group("master-key", short_help="Protect the secrets in a team's database.")
def master_key() -> None:
    """Make and replace the master key that protects the secrets in the PostgreSQL database of
    KEYFOB_DATABASE_URL.

    The key is in the file that KEYFOB_MASTER_KEY_FILE names, else in this computer's keychain, or behind the
    command in KEYFOB_MASTER_KEY_COMMAND. Keep a copy in a safe place: without it the secrets cannot be read.

    \b
    Examples:
      keyfob gateway master-key new
      keyfob gateway master-key rotate
      keyfob gateway master-key rotate --finish
    """


@master_key.command(short_help="Make the first master key.")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@json_option
@pass_session
def new(session: Session, file: Path | None) -> None:
    """Make the first master key of a database, in FILE. Without FILE, it goes where KEYFOB_MASTER_KEY_FILE
    says, else into the keychain. Then copy it to all servers.

    \b
    Examples:
      keyfob gateway master-key new /etc/keyfob/master.keys
    """
    with closing(_team(file)) as team:
        if not team.keys_are_listed:
            raise Usage("The command in KEYFOB_MASTER_KEY_COMMAND has the key. Nothing to make")
        known = team.master_ids()
        if known:
            raise Usage(f"{team.place} has a master key already: {known[-1]}. To replace it, use rotate")
        made = team.add_master_key()
        words = f"{team.place} has the new master key {made}. Keep a copy of it."
    if file is not None and os.environ.get(KEY_FILE) != str(file):
        words += f" Set {KEY_FILE}={file.absolute()} for each server."
    _report(session, {"master_key": made}, words)


@master_key.command(short_help="Replace the master key, with no server stopped.")
@click.option("--finish", is_flag=True, help="Forget the old key. Every server must have the new one.")
@click.option("--data-keys", is_flag=True, help="Also seal every secret again, with new data keys.")
@json_option
@pass_session
def rotate(session: Session, finish: bool, data_keys: bool) -> None:
    """Replace the master key in two steps. The first one adds a new key, which protects everything beside the
    old one. Copy it to all servers, then run the second one, --finish, which forgets the old key.

    With KEYFOB_MASTER_KEY_COMMAND, one step has the command wrap everything again.

    \b
    Examples:
      keyfob gateway master-key rotate
      keyfob gateway master-key rotate --finish
      keyfob gateway master-key rotate --finish --data-keys
    """
    with closing(_team()) as team:
        listed = team.keys_are_listed
        if listed and not team.master_ids():
            raise Usage("There is no master key yet. To make the first one, use new")
        if finish:
            team.forget_old()
        elif listed:
            team.add_master_key()
        count = team.rewrap()
        sealed = team.replace_data_keys() if data_keys else 0
        newest = team.master_ids()[-1] if listed else None
    words = f"{newest or 'The command'} protects {count} data {'key' if count == 1 else 'keys'} now."
    if data_keys:
        words += f" {sealed} {'secret was' if sealed == 1 else 'secrets were'} sealed again."
    if listed and not finish:
        words += " Copy the master keys to all servers, then run: keyfob gateway master-key rotate --finish"
    _report(session, {"master_key": newest, "data_keys": count, "sealed_again": sealed}, words)


def _report(session: Session, document: dict[str, object], words: str) -> None:
    session.document(document) if session.json else session.say(words)


def _team(file: Path | None = None) -> TeamDatabase:
    from keyfob.gateway.packages import check_packages

    check_packages()
    from keyfob.gateway.team import open_team
    from keyfob.process.home import open_home

    chosen = {} if file is None else {KEY_FILE: str(file.absolute())}
    return open_team(open_home(), {**os.environ, **chosen})
