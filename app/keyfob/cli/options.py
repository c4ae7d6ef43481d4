"""Options and arguments that several commands share, with their completion."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from keyfob.cli.session import Session
from keyfob.core.errors import KeyfobError, Usage
from keyfob.core.methods import METHODS, Method
from keyfob.core.provider import Provider
from keyfob.core.text import plain

F = TypeVar("F", bound=Callable[..., Any])
pass_session = click.make_pass_decorator(Session)


class Seconds(click.FloatRange):
    """A number of seconds within its bounds. `nan` lies outside of every bound and is within none."""

    name = "number of seconds"

    def convert(self, value: float, param: click.Parameter | None, context: click.Context | None) -> float:
        """A number of seconds in the range; not "nan", which click itself lets pass."""
        found: float = super().convert(value, param, context)
        if math.isnan(found):
            self.fail(f"{value} is not a number of seconds.", param, context)
        return found


_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(context: click.Context, param: click.Parameter, text: str | None) -> datetime | None:
    """An option's callback: so long ago (`90s`, `15m`, `2h`, `7d`, `2w`), or a date or time as RFC 3339 has
    it, without a zone in this computer's.
    """
    if text is None:
        return None
    session, ago = context.find_object(Session), _AGO.fullmatch(text)
    try:
        if ago is not None and session is not None:
            return session.now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is not a time. Write 2h, 7d or 2026-11-20T14:00", context, param
        ) from None


def _json_flag(context: click.Context, _: click.Parameter, value: bool) -> None:
    session = context.find_object(Session)
    assert session is not None
    session.json = session.json or value  # a group and its command both take it


def json_option(function: F) -> F:
    """`--json`: one document on stdout; the session remembers it."""
    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_json_flag,
        help="Print one JSON document instead of text.",
    )(function)


def account_argument(function: F) -> F:
    """The argument ACCOUNT, which the shell completes with the connected accounts."""
    return click.argument("account", shell_complete=complete_accounts, callback=_not_empty)(function)


def _not_empty(_: click.Context, __: click.Parameter, value: str) -> str:
    """The account that was named. A script's empty variable names none."""
    if not value:
        raise Usage("The account is empty", remedy="To list your accounts, run `keyfob accounts`.")
    return value


def provider_argument(function: F) -> F:
    """The argument PROVIDER, which the shell completes with the ids of the presets."""
    return click.argument("provider", shell_complete=_complete_providers)(function)


def complete_accounts(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of connected accounts that begin with `incomplete`; none if they cannot be read."""
    session = context.find_object(Session)
    try:
        ids = session.account_ids() if session else []
    except (KeyfobError, OSError):
        return []  # a shell's prompt is not a place for an error
    return [CompletionItem(plain(each)) for each in ids if each.startswith(incomplete)]


def _chosen_preset(context: click.Context) -> Provider | None:
    """The preset of the provider or account that the line names before what is completed."""
    session = context.find_object(Session)
    # click leaves the arguments unread if the line ends with an option that lacks its value.
    named = context.params.get("provider") or context.params.get("account") or next(iter(context.args), "")
    try:
        return session.engine.providers.get(str(named).partition("/")[0]) if session and named else None
    except (KeyfobError, OSError):
        return None


def _complete_access(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    preset = _chosen_preset(context)
    bundles = preset.access if preset else ()
    return [
        CompletionItem(each.id, help=plain(each.title, 60))
        for each in bundles
        if each.id.startswith(incomplete)
    ]


def _complete_scopes(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    preset = _chosen_preset(context)
    if preset is None:
        return []
    scopes = dict.fromkeys([*preset.scopes, *(scope for each in preset.access for scope in each.scopes)])
    return [CompletionItem(plain(each)) for each in scopes if each.startswith(incomplete)]


def _complete_providers(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    session = context.find_object(Session)
    try:
        found = session.engine.providers.all() if session else []
    except (KeyfobError, OSError):
        return []
    return [CompletionItem(p.id, help=plain(p.title, 60)) for p in found if p.id.startswith(incomplete)]


@dataclass(frozen=True, slots=True)
class SignInOptions:
    """What the user gave of `sign_in_options`."""

    method: Method | None
    access: tuple[str, ...]
    scopes: tuple[str, ...]
    only_scopes: tuple[str, ...]
    inputs: tuple[str, ...]
    handle: str | None
    username: str | None
    client_id: str | None
    client_secret_stdin: bool
    allow_http: str | None
    api_key_stdin: bool
    password_stdin: bool
    no_browser: bool
    timeout: float


def sign_in_options(function: Callable[..., None]) -> Callable[..., None]:
    """What `connect` and `reconnect` take alike. The command gets them as one argument, `options`."""

    @wraps(function)
    def gathered(*arguments: object, **values: object) -> None:
        given: dict[str, Any] = {each.name: values.pop(each.name) for each in fields(SignInOptions)}
        options = SignInOptions(**given)
        function(*arguments, options=options, **values)

    command: Callable[..., None] = gathered
    for option in reversed(
        (
            click.option("--method", type=click.Choice(METHODS),
                help="How to sign in. Default: as before, or the provider's first method for a new account."),
            click.option("--access", "access", multiple=True, metavar="NAME", shell_complete=_complete_access,
                help="What tools may do with the account, such as repo. Repeatable. `keyfob providers show` "
                     "lists the names. Default: those marked as default."),
            click.option("--scope", "scopes", multiple=True, metavar="S", shell_complete=_complete_scopes,
                help="Also request this scope. Repeatable."),
            click.option("--only-scope", "only_scopes", multiple=True, metavar="S",
                shell_complete=_complete_scopes,
                help="Request this scope instead of all others. Repeatable."),
            click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE",
                help="A value that the provider needs, such as instance=example.org."),
            click.option("--handle", metavar="H", help="Short for --input handle=H."),
            click.option("--username", metavar="U", help="Short for --input username=U."),
            click.option("--client-id", metavar="ID",
                help="The client id of your own app registration. Keyfob saves it for next time."),
            click.option("--client-secret-stdin", is_flag=True,
                help="Read the client secret from stdin and save it in the keychain."),
            click.option("--allow-http", metavar="HOST",
                help="Use this server on your own network without TLS, such as homeassistant.local:8123. "
                     "Anybody on the network can then read the token."),
            click.option("--api-key-stdin", is_flag=True,
                help="Read the API key from stdin. For the method api_key."),
            click.option("--password-stdin", is_flag=True,
                help="Read the password from stdin. For the method password. Keyfob uses it once and does "
                     "not save it."),
            click.option("--no-browser", is_flag=True,
                help="Print the address to stderr instead of opening a browser. You can paste the address "
                     "of the last page on stdin."),
            click.option("--timeout", type=Seconds(min=1, max=86_400), default=300.0, show_default=True,
                metavar="S", help="Time limit for signing in, in seconds."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def inputs_of(pairs: tuple[str, ...], handle: str | None, username: str | None) -> dict[str, str]:
    """`--input NAME=VALUE` and its short forms as one mapping. Raises click.BadParameter."""
    inputs: dict[str, str] = {}
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not mark or not name.strip():
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--input")
        inputs[name.strip()] = value
    if handle is not None:
        inputs["handle"] = handle
    if username is not None:
        inputs["username"] = username
    return inputs
