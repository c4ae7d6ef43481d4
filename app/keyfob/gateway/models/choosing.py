"""Which account serves a model, and in which format: by the model table, or because only one fits.

What a caller learns is limited to accounts that it may use: an account without a grant is answered as one
that does not exist.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

from keyfob.core.errors import KeyfobError
from keyfob.gateway.auth.result import AuthResult
from keyfob.gateway.engines import SignerOf
from keyfob.gateway.grants import is_operator
from keyfob.gateway.llm.formats import TITLES, Format
from keyfob.gateway.llm.translate import can
from keyfob.gateway.models.table import Entry
from keyfob.gateway.models.table_file import WatchedTable
from keyfob.gateway.proxy.decisions import Decisions, RefusedError
from keyfob.gateway.proxy.problems import problem
from keyfob.gateway.proxy.routes import Route
from keyfob.service.accounts.signer import LlmApi

# The formats that a caller's is translated to, the best first.
_PREFERRED: Final[dict[Format, tuple[Format, ...]]] = {
    "openai_chat": ("openai_responses", "anthropic_messages"),
    "openai_responses": ("openai_chat", "anthropic_messages"),
    "anthropic_messages": ("openai_responses", "openai_chat"),
}

_SUFFIXES: Final[dict[Format, str]] = {
    "openai_chat": "/chat/completions",
    "openai_responses": "/responses",
    "anthropic_messages": "/messages",
}
_SHARED_BY_OPENAI: Final = ("/embeddings", "/models")  # whatever else an API of OpenAI's kind speaks


class Wanted(NamedTuple):
    """What a caller asks for: a path below a format's address. `translates`: other formats will do."""

    caller: AuthResult
    format: Format
    method: str
    suffix: str
    translates: bool

    def formats(self, api: LlmApi) -> list[Format]:
        """Those of the account that serve this request, the best first."""
        best = self.format, *_PREFERRED[self.format]
        return [one for one in best if one in api.formats and self._is_served_by(one)]

    def route(self, api: LlmApi, format: Format) -> Route:
        """The account's path for this format."""
        is_other = self.suffix == _SUFFIXES[self.format] and format != self.format
        return route_of(api, format, _SUFFIXES[format] if is_other else self.suffix)

    def _is_served_by(self, format: Format) -> bool:
        if format == self.format:
            return True
        if self.suffix in _SHARED_BY_OPENAI:
            return "anthropic_messages" not in (format, self.format)
        return self.translates and can(self.format, format)


class Target(NamedTuple):
    """Where a request goes."""

    api: LlmApi
    format: Format
    model: str  # the upstream's name
    route: Route


class Chooser:
    """For one event loop."""

    def __init__(self, signers: SignerOf, table: WatchedTable, decisions: Decisions) -> None:
        self._signers, self.table, self._decisions = signers, table, decisions

    async def target(self, wanted: Wanted, model: str) -> Target:
        """Raises RefusedError, and what the account's reading raises: a KeyfobError."""
        table = self.table.now()
        found = table.find(model)
        if found is not None:
            return await self._of_entry(wanted, *found)
        if table.entries:
            raise _refused(
                404,
                "model_not_found",
                f"{model} is not in the gateway's model table. To add it, run: keyfob models add",
            )
        return await self.only_one(wanted, model)

    async def only_one(self, wanted: Wanted, model: str) -> Target:
        """The one account that fits, without a table. Raises as `target`."""
        fitting_ones = [
            Target(api, format, model, wanted.route(api, format)._replace(tenant=tenant))
            for tenant, api in await self._usable(wanted.caller)
            for format in wanted.formats(api)[:1]
        ]
        allowed = [one for one in fitting_ones if await self._allows(wanted, one.route)]
        same = [one for one in allowed if one.format == wanted.format] or allowed
        pool = [one for one in same if one.api.shareable] or same
        if len(pool) == 1:
            return pool[0]
        if pool:
            names = ", ".join(sorted(one.api.account for one in pool))
            raise _refused(
                400,
                "account_ambiguous",
                f"Several accounts fit: {names}. Choose one for this model in the model table: "
                "keyfob models add MODEL ACCOUNT",
            )
        raise _refused(
            404,
            "account_not_found",
            f"No account that this key may use speaks {TITLES[wanted.format]}. Connect one with Keyfob, or "
            "ask whoever runs the gateway for access.",
        )

    async def may_use(self, caller: AuthResult, account: str) -> bool:
        """Whether the caller has a grant for this account, whatever it allows."""
        if is_operator(caller):
            return True
        return bool(await self._decisions.active.of(caller, account))

    async def _of_entry(self, wanted: Wanted, entry: Entry, model: str) -> Target:
        if not await self.may_use(wanted.caller, entry.account):
            # As for any other account that the caller may not use.
            await self._decisions.on_route(wanted.caller, wanted.method, Route(entry.account, "/", ""))
        tenant = await self._tenant(wanted.caller, entry.account)
        api = await asyncio.to_thread(lambda: self._signers(tenant).llm(entry.account))
        formats = [one for one in wanted.formats(api) if entry.format in (None, one)]
        if not formats:
            spoken = ", ".join(TITLES[cast(Format, one)] for one in api.formats) or "none that Keyfob knows"
            raise _refused(
                400,
                "format_not_spoken",
                f"{entry.name} is served by {entry.account}, which cannot answer this request in "
                f"{TITLES[wanted.format]}. Its formats: {spoken}.",
            )
        return Target(api, formats[0], model, wanted.route(api, formats[0])._replace(tenant=tenant))

    async def _tenant(self, caller: AuthResult, account: str) -> str | None:
        """Whose account of this name the caller's grants are for."""
        if is_operator(caller):
            return None
        found = await self._decisions.active.of(caller, account)
        return found[0].account_tenant if found else None

    async def _usable(self, caller: AuthResult) -> list[tuple[str | None, LlmApi]]:
        """Each with its tenant."""
        if is_operator(caller):
            own = await asyncio.to_thread(lambda: self._signers(None).llm_accounts())
            return [(None, api) for api in own]
        accounts = sorted({one.account for one in await self._decisions.active.of(caller)})
        known = [(await self._tenant(caller, account), account) for account in accounts]
        return await asyncio.to_thread(self._known, known)

    def _known(self, accounts: Iterable[tuple[str | None, str]]) -> list[tuple[str | None, LlmApi]]:
        found = []
        for tenant, account in accounts:
            with suppress(KeyfobError):
                found.append((tenant, self._signers(tenant).llm(account)))
        return found

    async def _allows(self, wanted: Wanted, route: Route) -> bool:
        if is_operator(wanted.caller):
            return True
        found = await self._decisions.active.of(wanted.caller, route.account)
        return any(grant.covers(wanted.method, route.path, route.host) for grant in found)


def route_of(api: LlmApi, format: Format, suffix: str) -> Route:
    """The account's path that is called: below its API, or at another of its hosts."""
    url = api.formats[format] + suffix
    if api.base and url.startswith(api.base + "/"):
        return Route(api.account, url.removeprefix(api.base), "")
    parts = urlsplit(url)
    return Route(api.account, parts.path, "", parts.netloc.lower())


def _refused(status: int, code: str, detail: str) -> RefusedError:
    return RefusedError(problem(status, code, detail))
