"""`keyfob settings`: reads and changes the settings of the Settings dialog from a terminal."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import click
from click.shell_completion import CompletionItem

from keyfob.cli import words
from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.core.errors import SettingWrong, SignInEnded, Usage
from keyfob.core.settings import THEMES, VAULTS, Settings
from keyfob.core.text import plain

SWITCH = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
NEXT_APP = "Restart the app to use it."
NEXT_BOTH = "Restart the app or the agent to use it."


@dataclass(frozen=True, slots=True)
class Setting:
    """`choices`: the words it takes, empty for a whole number. `later`:
    when a running Keyfob follows, if not at once.
    """

    meaning: str
    choices: Sequence[str] = ()
    later: str = ""


SETTINGS = {
    "start_at_login": Setting(
        "Start the app when you log in.", tuple(SWITCH), "It takes effect at your next login."
    ),
    "close_to_tray": Setting("When you close the window, Keyfob stays in the tray.", tuple(SWITCH), NEXT_APP),
    "theme": Setting("The colors of the window: system, light or dark.", THEMES, NEXT_APP),
    "callback_port": Setting("The port that the browser comes back to, 1024 to 65535."),
    "renewal_margin": Setting("How long before its end a token is renewed, in seconds, 30 to 86400."),
    "vault": Setting(
        "Where tokens are kept: keychain, sealed (an encrypted file) or pass (the password store).",
        VAULTS,
        NEXT_BOTH,
    ),
    "named_app_consent": Setting("Ask before a program gets an account's token.", tuple(SWITCH)),
    "updates": Setting(
        "Look for newer versions of Keyfob and of your tools, at most once a day, while the app runs.",
        tuple(SWITCH),
    ),
    "gateway": Setting(
        "Let programs use your accounts through the gateway while the app runs.", tuple(SWITCH), NEXT_APP
    ),
    "gateway_port": Setting("The gateway's port, 1024 to 65535.", (), NEXT_APP),
}


def _complete_keys(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(key, help=s.meaning) for key, s in SETTINGS.items() if key.startswith(incomplete)]


def _complete_values(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    setting = SETTINGS.get(context.params.get("key") or "")
    return [
        CompletionItem(word) for word in (setting.choices if setting else ()) if word.startswith(incomplete)
    ]


key_argument = click.argument("key", shell_complete=_complete_keys)


@click.group(invoke_without_command=True, short_help="Show and change settings.")
@json_option
@pass_session
@click.pass_context
def settings(context: click.Context, session: Session) -> None:
    """Show and change settings. Without a command, list them.

    \b
    Examples:
      keyfob settings
      keyfob settings get callback_port
      keyfob settings set callback_port 9877
      keyfob settings set vault sealed
    """
    if context.invoked_subcommand is None:
        _list(session)


@settings.command("list", short_help="List the settings, with what each means.")
@json_option
@pass_session
def list_(session: Session) -> None:
    """List every setting, its value and what it means. `*` marks a value that is not the default.

    \b
    Example:
      keyfob settings list --json
    """
    _list(session)


@settings.command(short_help="Print one setting's value.")
@key_argument
@json_option
@pass_session
def get(session: Session, key: str) -> None:
    """Print only the value of the setting KEY.

    \b
    Example:
      keyfob settings get theme
    """
    _known(key)
    value = getattr(session.engine.settings.load(), key)
    if session.json:
        session.document({"key": key, "value": value})
    else:
        session.exactly(_shown(value))


@settings.command("set", short_help="Change one setting.")
@key_argument
@click.argument("value", shell_complete=_complete_values)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
@pass_session
def set_(session: Session, key: str, value: str, yes: bool) -> None:
    """Set KEY to VALUE. An on-off setting takes true or false, on or off, yes or no. If you change `vault`,
    tokens do not move and you must sign in to your accounts again, so this command asks first.

    \b
    Examples:
      keyfob settings set callback_port 9877
      keyfob settings set named_app_consent on
      keyfob settings set vault sealed --yes
    """
    _known(key)
    file = session.engine.settings
    was = file.load()
    now = _with(was, key, value)
    if now.vault != was.vault:
        _confirm_vault(session, was.vault, yes)
    if key == "start_at_login":
        autostart = session.engine.autostart
        if autostart.enabled() != now.start_at_login:
            autostart.enable(now.start_at_login)
    file.save(now, was=was)
    found = getattr(now, key)
    if session.json:
        session.document({"key": key, "value": found})
        return
    later = SETTINGS[key].later if now != was else ""
    session.say(f"{key} is {_shown(found)}. {later}".rstrip())


def _list(session: Session) -> None:
    found, default = session.engine.settings.load(), Settings()
    if session.json:
        session.document({"settings": {key: getattr(found, key) for key in SETTINGS}})
        return
    rows = []
    for key, setting in SETTINGS.items():
        value, usual = getattr(found, key), getattr(default, key)
        same = value == usual
        meaning = setting.meaning if same else f"{setting.meaning} Default: {_shown(usual)}."
        rows.append((key, _shown(value) if same else f"{_shown(value)} *", meaning))
    for line in words.table(rows, ("KEY", "VALUE", "MEANING")):
        session.say(line)


def _known(key: str) -> None:
    if key not in SETTINGS:
        raise Usage(
            f"'{plain(key, 60)}' is not a setting",
            remedy=f"{_near(key, tuple(SETTINGS))}The settings are {', '.join(SETTINGS)}.",
        )


def _with(was: Settings, key: str, text: str) -> Settings:
    """`was` with the value that `text` says. Raises Usage."""
    choices = SETTINGS[key].choices
    word = text.lower()
    if choices and word not in choices:
        raise Usage(
            f"The setting {key} cannot be '{plain(text, 60)}'",
            remedy=f"{_near(word, choices)}It takes {', '.join(choices)}.",
        )
    value: Any = SWITCH[word] if isinstance(getattr(was, key), bool) else word
    if not choices:
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
    try:
        return replace(was, **{key: value}).checked()
    except SettingWrong as error:
        raise Usage(
            error.message, remedy=f"Example: keyfob settings set {key} {getattr(Settings(), key)}"
        ) from None


def _confirm_vault(session: Session, old: str, yes: bool) -> None:
    """Raises Usage if the user cannot be asked, SignInEnded if the answer is no."""
    if not session.engine.accounts.views():
        return
    session.note(
        f"Your tokens stay in the old place ({old}). The new place does not have them. Afterwards, sign in "
        f"again with `keyfob reconnect`, or change back with: keyfob settings set vault {old}"
    )
    if yes:
        return
    if session.json or not sys.stdin.isatty():
        raise Usage(
            "Keyfob did not change the vault, because you have accounts", remedy="Add --yes to change it."
        )
    if not click.confirm("Change where tokens are kept?", err=True):
        raise SignInEnded("Nothing was changed", remedy="Try again when you are ready.")


def _near(text: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(text.lower(), known, n=1, cutoff=0.6)
    return f"Did you mean '{near[0]}'? " if near else ""


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
