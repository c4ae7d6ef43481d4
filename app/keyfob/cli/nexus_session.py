"""What the commands of `keyfob nexus` share: the account, the services, errors of downloads.

`keyfob.Auth` asks an agent, or starts a `keyfob` command. Here is a `keyfob` command already: without an
agent, the engine of this process signs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import click
from click.shell_completion import CompletionItem

from keyfob.agent.own_source import OwnSource
from keyfob.cli.options import complete_accounts
from keyfob.cli.session import Session
from keyfob.client import running_agent, tokens
from keyfob.client.connection import AgentGoneError
from keyfob.core import time_words
from keyfob.core.error_codes import CODES, Advice, ErrorCode
from keyfob.core.errors import (
    Fault,
    KeychainError,
    KeyfobError,
    NotFound,
    PeerFault,
    SettingWrong,
    SignInNeeded,
    Transient,
    Usage,
)
from keyfob.core.text import plain
from keyfob.nexus.library import LibraryFile
from keyfob.nexus.models import DownloadItem, Limits
from keyfob.nexus.service import Nexus, NexusService, no_account
from keyfob.process.home import open_home

F = TypeVar("F", bound=Callable[..., Any])
_KINDS: dict[ErrorCode, type[KeyfobError]] = {
    "internal": Fault,
    "nexus_not_found": NotFound,
    "account_not_found": NotFound,
    "disk_full": SettingWrong,
    "file_unwritable": SettingWrong,
    "tls_untrusted": SettingWrong,
    "mod_hidden": SettingWrong,
    "download_wrong": PeerFault,
    "download_elsewhere": PeerFault,
    "file_unlisted": PeerFault,
    "response_invalid": PeerFault,
}


class AgentOrEngine:
    """Who signs requests here (`keyfob.client.tokens.Source`): a running agent, else this process's engine.
    Thread-safe.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._guard = threading.Lock()

    def _own(self) -> OwnSource:
        with self._guard:  # built once, also if two downloads need it first
            engine = self._session.engine
        return OwnSource(engine.accounts, engine.signer)

    def accounts(self) -> list[dict[str, Any]]:
        """See Source."""
        try:
            return self._session.from_agent(running_agent.accounts)
        except AgentGoneError:
            return self._own().accounts()

    def lease(self, *_: object) -> NoReturn:
        """See OwnSource."""
        self._own().lease()

    def sign(
        self, account: str, method: str, url: str, nonce: str | None, rejected: str | None
    ) -> dict[str, Any]:
        """See Source."""
        try:
            return self._session.from_agent(lambda: running_agent.sign(account, method, url, nonce, rejected))
        except AgentGoneError:
            pass
        except SettingWrong as error:
            if error.code != "sharing_not_allowed":  # other programs may not have it, and this is Keyfob
                raise
        return self._own().sign(account, method, url, nonce, rejected)


@contextmanager
def nexus_of(session: Session) -> Iterator[Nexus]:
    """The services, until the block ends."""
    before = tokens.ask(AgentOrEngine(session))
    home = open_home()
    nexus = Nexus(home.state, home.data)
    try:
        yield nexus
    finally:
        nexus.close()
        tokens.ask(before)


def service_of(session: Session, nexus: Nexus, account: str | None) -> NexusService:
    """The account that is named, or the only one. Raises NotFound `nexus_signed_out`, Usage
    `account_ambiguous`.
    """
    if account is None:
        found = session.finish(nexus.accounts)
        if not found:
            raise no_account()
        if len(found) > 1:
            raise Usage(
                f"There are several accounts of Nexus Mods: {', '.join(found)}",
                code="account_ambiguous",
                remedy="Name one with --account.",
            )
        account = found[0]
    name = account
    return session.finish(lambda: nexus.service(name))


def account_option(function: F) -> F:
    """`--account`: which account of Nexus Mods."""
    return click.option(
        "--account",
        metavar="ACCOUNT",
        shell_complete=complete_accounts,
        help="The account of Nexus Mods. Default: the only one.",
    )(function)


def game_argument(*, required: bool = True) -> Callable[[F], F]:
    """The argument GAME, the game's name in addresses, which the shell completes."""

    def decorated(function: F) -> F:
        return click.argument("game", required=required, shell_complete=complete_games, callback=_domain)(
            function
        )

    return decorated


def _domain(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """The name as addresses have it."""
    if value is not None and not (value.isascii() and value.isalnum() and len(value) <= 64):
        raise Usage(
            f"{plain(value, 60)!r} is not the name of a game in addresses",
            code="nexus_not_found",
        )
    return value.lower() if value is not None else None


def complete_games(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The games that were read last; none if there was no such time."""
    try:
        home = open_home()
        games = Nexus(home.state, home.data).known_games()
    except (KeyfobError, OSError):
        return []
    return [
        CompletionItem(game.domain, help=plain(game.name, 60))
        for game in games
        if game.domain.startswith(incomplete.lower())
    ]


def complete_mods(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The mods of the list, as GAME/ID; none if it cannot be read."""
    try:
        mods = LibraryFile(open_home().state).read().mods
    except (KeyfobError, OSError):
        return []
    found = ((f"{game}/{number}", plain(entry.mod.name, 60)) for (game, number), entry in mods.items())
    return [CompletionItem(name, help=title) for name, title in found if name.startswith(incomplete)]


def error_of(item: DownloadItem) -> KeyfobError:
    """The error of a download that stopped."""
    code: ErrorCode = item.code or "provider_unavailable"
    by_advice: dict[Advice, type[KeyfobError]] = {
        Advice.SIGN_IN_AGAIN: SignInNeeded,
        Advice.UNLOCK_KEYCHAIN: KeychainError,
    }
    kind = _KINDS.get(code) or by_advice.get(CODES[code], Transient)
    return kind(item.problem or "The download stopped", code=code, facts={"page": item.page})


def note_limits(session: Session, limits: Limits) -> None:
    """Says so on stderr before the requests run out."""
    if not limits.low:
        return
    daily = limits.daily_left != 0
    left, limit = (
        (limits.daily_left, limits.daily_limit) if daily else (limits.hourly_left, limits.hourly_limit)
    )
    again = limits.daily_resets_at if daily else limits.hourly_resets_at
    until = f", until {time_words.moment(again, session.now())}" if again else ""
    session.note(f"Only {left:,} of {limit:,} requests are left {'today' if daily else 'this hour'}{until}.")
