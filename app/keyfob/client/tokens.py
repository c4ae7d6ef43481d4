"""Tokens and signed requests for Python: from this process's memory,
else from the agent, else by the `keyfob` command.
"""

from __future__ import annotations

import os
import time

from keyfob.client import running_agent
from keyfob.client.command import run_command
from keyfob.client.connection import AgentGoneError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from typing import Any, Protocol

    class Source(Protocol):
        """Who is asked for tokens, if this process does not remember them."""

        def accounts(self) -> list[dict[str, Any]]:
            """As `keyfob accounts --json` shows them."""

        def lease(self, account: str, min_life: float | None, rejected: str | None) -> dict[str, Any]:
            """As `keyfob token --json` answers."""

        def sign(
            self, account: str, method: str, url: str, nonce: str | None, rejected: str | None
        ) -> dict[str, Any]:
            """As `keyfob sign` answers."""


class AgentOrCommand:
    """The running agent, else the `keyfob` command in a process of its own."""

    def accounts(self) -> list[dict[str, Any]]:
        """See `Source`."""
        try:
            return running_agent.accounts()
        except AgentGoneError:
            found: list[dict[str, Any]] = run_command(["accounts"])["accounts"]
            return found

    def lease(self, account: str, min_life: float | None, rejected: str | None) -> dict[str, Any]:
        """See `Source`."""
        try:
            return running_agent.lease(account, min_life=min_life, rejected=rejected)
        except AgentGoneError:
            arguments = ["token", account]
            if min_life is not None:
                arguments += ["--min-life", f"{min_life:g}"]
            if rejected is not None:
                return run_command([*arguments, "--rejected-stdin"], rejected)
            return run_command(arguments)

    def sign(
        self, account: str, method: str, url: str, nonce: str | None, rejected: str | None
    ) -> dict[str, Any]:
        """For tokens bound to a key the agent signs, and the key stays there; without an agent, `keyfob sign`
        does.
        """
        try:
            return running_agent.sign(account, method, url, nonce, rejected)
        except AgentGoneError:
            import json

            request = running_agent.request_to_sign(method, url, nonce, rejected)
            return run_command(["sign", account], json.dumps(request))


_source: Source = AgentOrCommand()
_memory: dict[tuple[str, float | None], tuple[str, float]] = {}
_signed_memory: dict[tuple[str, str], tuple[dict[str, Any], float]] = {}
_asking: dict[str, threading.Lock] = {}
_bound: set[str] = set()  # accounts whose tokens are bound to a key: each request has its own signature


def token(account: str, *, min_life: float | None = None, rejected: str | None = None) -> str:
    """A valid access token or key of `account` (`provider/label`, or
    `provider` while it is the only one there).

    Renewed first if fewer than `min_life` seconds are left (default 60; 20 % of shorter lifetimes).
    `rejected` names a token that the API refused, so that it is replaced. Kept in this process's memory until
    then. The caller owns the token and must not log or store it. Raises `keyfob.KeyfobError`. Thread-safe;
    blocks.
    """
    key = (check_account(account), min_life)
    if rejected is None:
        held = _memory.get(key)
        if held is not None and time.time() < held[1]:
            return held[0]
    answer = lease(account, min_life=min_life, rejected=rejected)
    text = str(answer["token"])
    _memory[key] = (text, keep_until(answer, min_life))
    return text


def check_account(account: object) -> str:
    """The account's name, if it is a text. Raises Usage otherwise, before anything is asked."""
    if isinstance(account, str) and account:
        return account
    from keyfob.core.errors import Usage

    raise Usage('The account is not a text such as "github" or "github/alice"')


def accounts() -> list[dict[str, Any]]:
    """All accounts, as `keyfob accounts --json` shows them. Raises `keyfob.KeyfobError`. Blocks."""
    return _source.accounts()


def lease(account: str, *, min_life: float | None = None, rejected: str | None = None) -> dict[str, Any]:
    """The token with what is known of it, as `keyfob token --json` answers: account, token, token_type,
    expires_at, scopes. Nothing is remembered. Raises `keyfob.KeyfobError`. Blocks.
    """
    return _source.lease(account, min_life, rejected)


def signed(
    account: str, method: str, url: str, nonce: str | None = None, rejected: str | None = None
) -> dict[str, Any]:
    """The credentials for one request of this account: `headers`, `url` (which differs if the token goes into
    the query), `token`. Refused for an address that is not the provider's.
    """
    return _source.sign(account, method, url, nonce, rejected)


def credentials(
    account: str, method: str, url: str, nonce: str | None = None, rejected: str | None = None
) -> dict[str, Any]:
    """As `signed`, from this process's memory if the same headers can be used again. Of many threads with one
    refused token one asks, and the others take what it got. Thread-safe; blocks.
    """
    if account in _bound:
        return signed(account, method, url, nonce, rejected)
    key = (account, "/".join(url.split("/", 3)[:3]))
    held = _signed_memory.get(key)
    if held is not None and time.time() < held[1] and held[0]["token"] != rejected:
        return {**held[0], "url": url}
    import threading

    with _asking.setdefault(account, threading.Lock()):
        held = _signed_memory.get(key)
        if held is not None and time.time() < held[1] and held[0]["token"] != rejected:
            return {**held[0], "url": url}
        answer = signed(account, method, url, nonce, rejected)
    if any(name.lower() == "dpop" for name in answer["headers"]):
        _bound.add(account)
    elif answer["url"] == url:
        _signed_memory[key] = (answer, keep_until(answer, None))
    return answer


def forget(account: str | None = None) -> None:
    """Drop what this process remembers of one account's tokens, or of all."""
    for key in [key for key in _memory if account in (None, key[0])]:
        _memory.pop(key, None)
    for origin in [origin for origin in _signed_memory if account in (None, origin[0])]:
        _signed_memory.pop(origin, None)
    for name in [name for name in _bound if account in (None, name)]:
        _bound.discard(name)


def keep_until(answer: Mapping[str, Any], min_life: float | None) -> float:
    """Until when an answer may be given from memory, as seconds since the epoch: while `min_life` seconds are
    left, and 30 seconds at most.
    """
    now = time.time()
    expires = answer.get("expires_at")
    if not expires:
        return now + 30.0
    from datetime import datetime

    from keyfob.core.min_life import min_life as life_of

    left = datetime.fromisoformat(str(expires).replace("Z", "+00:00")).timestamp() - now
    life = life_of(left, min_life)
    # A revoked or replaced token is noticed within half a minute even if the API is not asked.
    return now + max(0.0, min(left - life, 30.0))


def ask(source: Source) -> Source:
    """Ask this source from now on, and remember nothing of the one before, which is returned. For tests of
    programs that use Keyfob: `keyfob.testing`.
    """
    global _source
    before, _source = _source, source
    forget()
    return before


def _after_fork() -> None:
    # Another thread may hold a lock at the fork. It does not exist in the child, and never lets go.
    _asking.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
