"""The table of the server's own addresses: what is not an account's API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Literal, NamedTuple

from aiohttp import web

from keyfob.gateway.auth.result import AuthResult
from keyfob.gateway.grants import is_operator
from keyfob.gateway.proxy import problems
from keyfob.gateway.proxy.callers import Callers

Handler = Callable[[web.Request, AuthResult | None], Awaitable[web.StreamResponse]]


class OwnAddress(NamedTuple):
    """`path` is matched exactly, or, with a slash at its end, as a prefix. `who`: `everyone` is not asked for
    a key, and the handler gets None; `callers` are those who are known; `operators` need no grant.
    """

    path: str
    handler: Handler
    who: Literal["everyone", "callers", "operators"] = "callers"


class OwnAddresses:
    """Looks addresses up. The longest prefix wins."""

    def __init__(self, addresses: Iterable[OwnAddress]) -> None:
        known = list(addresses)
        self._exact = {one.path: one for one in known if not one.path.endswith("/")}
        self._prefixes = sorted(
            (one for one in known if one.path.endswith("/")), key=lambda one: -len(one.path)
        )

    def find(self, path: str) -> OwnAddress | None:
        """By the raw path, without the query."""
        found = self._exact.get(path)
        return found or next((one for one in self._prefixes if path.startswith(one.path)), None)


async def answered(address: OwnAddress, request: web.Request, callers: Callers) -> web.StreamResponse:
    """Checks the caller, if the address wants one, and calls the handler. Raises what they raise."""
    if address.who == "everyone":
        return await address.handler(request, None)
    caller = await callers.who(request)
    if not caller.authenticated:
        return problems.refusal()
    if address.who == "operators" and not is_operator(caller):
        return problems.not_granted("Only an administrator of the server may do this.")
    return await address.handler(request, caller)
