"""What addresses of other packages need of the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from keyfob.gateway.proxy.callers import Callers
from keyfob.gateway.proxy.credentials import AccountCredentials
from keyfob.gateway.proxy.decisions import Decisions
from keyfob.gateway.proxy.own import OwnAddress
from keyfob.gateway.proxy.upstream import Upstream


class Parts(NamedTuple):
    """Of one server. `counted` is called with an account, a status, and the seconds until the answer began or
    ended.
    """

    callers: Callers
    decisions: Decisions
    credentials: AccountCredentials
    upstream: Upstream
    counted: Callable[[str, int, float], None]


More = Callable[[Parts], Iterable[OwnAddress]]


def nothing_more(_parts: Parts) -> Iterable[OwnAddress]:
    """For a server with its own addresses alone."""
    return ()
