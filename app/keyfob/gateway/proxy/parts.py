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
    """Of one server. `began` is called with the seconds until an answer's head was there, and `counted` with
    an account and a status at the answer's end.
    """

    callers: Callers
    decisions: Decisions
    credentials: AccountCredentials
    upstream: Upstream
    began: Callable[[float], None]
    counted: Callable[[str, int], None]


More = Callable[[Parts], Iterable[OwnAddress]]


def nothing_more(_parts: Parts) -> Iterable[OwnAddress]:
    """For a server with its own addresses alone."""
    return ()
