"""Callers without a key: programs of the gateway's own user on this computer, for grants to `local`.

The system says which user the peer's socket belongs to: Linux in /proc/net/tcp and tcp6. Somebody who cannot
be proven to be the same user is not known, and neither is a page in a browser, which runs as the same user,
nor a request that another server passed on.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import web

from keyfob.gateway.grants import LOCAL
from keyfob.gateway.proxy.decisions import ActiveGrants

TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
OVERFLOW: Final = Path("/proc/sys/kernel/overflowuid")  # stands for every user whom this process cannot name
ESTABLISHED: Final = "01"
_KEYS = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization")
_BROWSERS = ("origin", "referer", "cookie", "upgrade-insecure-requests", "access-control-request-method")
_PASSED_ON = ("forwarded", "via", "x-real-ip")


class End(NamedTuple):
    """One end of a connection."""

    address: str
    port: int


class LocalCallers:
    """For a server that listens on loopback alone."""

    def __init__(self, active: ActiveGrants) -> None:
        self._active = active

    async def is_local(self, request: web.Request) -> bool:
        """Whether this request may use grants to `local`. Raises Transient if the grants cannot be read."""
        if not could_be_local(request.headers.keys(), request.headers.get("User-Agent", "")):
            return False
        if not any(grant.who == "local" for grant in await self._active.of(LOCAL)):
            return False
        transport = request.transport
        peer = transport.get_extra_info("peername") if transport is not None else None
        own = transport.get_extra_info("sockname") if transport is not None else None
        if not isinstance(peer, tuple) or not isinstance(own, tuple):
            return False
        return await asyncio.to_thread(is_own_user, End(*peer[:2]), End(*own[:2]))


def could_be_local(names: Iterable[str], agent: str) -> bool:
    """Whether a request with these headers has no key, and comes from no browser and no other server."""
    lower = [name.lower() for name in names]
    if any(name in (*_KEYS, *_BROWSERS, *_PASSED_ON) for name in lower):
        return False
    if any(name.startswith(("sec-fetch-", "sec-ch-", "x-forwarded-")) for name in lower):
        return False
    return not agent.lower().startswith("mozilla/")


def is_own_user(peer: End, own: End) -> bool:
    """Whether the socket at `peer` of this connection belongs to this process's user. Blocks. False where the
    system does not say.
    """
    if not hasattr(os, "geteuid"):
        return False
    try:
        uid = uid_of(peer, own, [table.read_text("ascii") for table in TABLES if table.exists()])
        unnamed = int(OVERFLOW.read_text("ascii"))
    except (OSError, ValueError):
        return False
    return uid is not None and uid == os.geteuid() != unnamed


def uid_of(peer: End, own: End, tables: Iterable[str]) -> int | None:
    """The user of the socket whose own end is `peer`, from the text of the system's tables; None if it is not
    there, or not once. Pure. Raises ValueError for ends and tables that cannot be read.
    """
    wanted = set(zip(_written(peer), _written(own), strict=True))
    found = {
        int(words[7])
        for table in tables
        for words in map(str.split, table.splitlines()[1:])
        if len(words) > 7 and words[3] == ESTABLISHED and (words[1], words[2]) in wanted
    }
    return found.pop() if len(found) == 1 else None


def _written(end: End) -> tuple[str, ...]:
    """As the tables write it: words in the machine's byte order. An IPv4 address also as IPv6 (RFC 4291
    §2.5.5.2): a program may have used such a socket.
    """
    address = ipaddress.ip_address(end.address.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if not address.is_loopback:
        raise ValueError("not on this computer")
    other = ipaddress.IPv6Address(f"::ffff:{address}") if address.version == 4 else address
    packed = (address.packed, other.packed)
    return tuple(f"{_words(each)}:{end.port:04X}" for each in packed)


def _words(packed: bytes) -> str:
    parts = (packed[at : at + 4] for at in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(part, sys.byteorder):08X}" for part in parts)
