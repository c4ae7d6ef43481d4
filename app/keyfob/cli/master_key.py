"""`keyfob gateway master-key`: the key that protects the secrets in a team's database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.core.errors import SettingWrong
from keyfob.gateway.packages import check_packages
from keyfob.process.home import open_home

if TYPE_CHECKING:
    from keyfob.ports import Vault


@click.group(short_help="The key that protects the secrets in PostgreSQL.")
def master_key() -> None:
    """Make or replace the master key. The secrets of accounts in PostgreSQL are encrypted under keys that are
    encrypted under it. It is never in the database.

    Keyfob reads it from the file that KEYFOB_MASTER_KEY_FILE names, from the command in
    KEYFOB_MASTER_KEY_COMMAND, or else from the keychain. Each server needs the same key.
    """


@master_key.command(short_help="Make a master key in a file.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@pass_session
def new(session: Session, file: Path) -> None:
    """Make FILE with a new master key, readable by you alone. Keep a copy in a safe place: without the key,
    every account in the database must be connected again.

    \b
    Examples:
      keyfob gateway master-key new /etc/keyfob/master.key
    """
    check_packages()
    from keyfob.team_engine import KEY_FILE, new_key_file

    made = new_key_file(file)
    if session.json:
        session.document({"master_id": made, "file": str(file)})
        return
    session.say(f"Made {file} with the master key {made}.")
    session.note(f"Set {KEY_FILE}={file} for each server.")


@master_key.command(short_help="Add a master key that is not used yet.")
@json_option
@pass_session
def add(session: Session) -> None:
    """Add a master key behind those that are there. It is used once you run keyfob gateway master-key rotate.

    With several servers, add a key, copy the file to all of them, and then rotate.

    \b
    Examples:
      keyfob gateway master-key add
    """
    check_packages()
    from keyfob.team_engine import add_master_key

    made = add_master_key(os.environ, _keychain())
    if session.json:
        session.document({"master_id": made})
        return
    session.say(
        f"Added the master key {made}. Copy it to every server, then run: keyfob gateway master-key rotate"
    )


@master_key.command(short_help="Replace the master key.")
@click.option("--data-keys", is_flag=True, help="Encrypt every secret again, under new data keys.")
@json_option
@pass_session
def rotate(session: Session, data_keys: bool) -> None:
    """Encrypt the data keys under the newest master key. If there is one key alone, make a new one first. The
    secrets stay as they are unless you add --data-keys.

    Old keys stay in the file or keychain: back-ups of the database need them. If the key is in a file, copy
    the file to the other servers again.

    \b
    Examples:
      keyfob gateway master-key rotate
      keyfob gateway master-key rotate --data-keys
    """
    check_packages()
    from keyfob.team_engine import VARIABLE, Team, team_database, use_newest_master_key

    address = team_database(os.environ)
    if address is None:
        raise SettingWrong(f"The accounts are not in PostgreSQL. Set {VARIABLE} to its address")
    use_newest_master_key(os.environ, _keychain())
    team = Team(address, os.environ, open_home(), lasting=False)
    try:
        wrapped = team.rotate_master_key()
        sealed = team.rotate_data_keys() if data_keys else 0
    finally:
        team.close()
    if session.json:
        session.document({"data_keys": wrapped, "secrets": sealed})
        return
    session.say(f"Data keys under the newest master key: {wrapped} more.")
    if data_keys:
        session.say(f"Secrets encrypted again: {sealed}.")


def _keychain() -> Vault:
    from keyfob.engine import system_ports

    return system_ports(open_home()).vault
