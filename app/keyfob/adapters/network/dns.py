"""TXT records from the system's resolvers, which prove atproto handles.

Called through the `dns_txt` argument of `protocol.atproto`. dnspython accepts only an answer from the address
and port that it asked, with its id and its question, and asks again over TCP for a long one. It is loaded at
the first lookup, because most users never need it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

DEADLINE = 6.0  # seconds in all; a user is waiting
TRY_SECONDS = 2.0
_RECORDS_MOST = 100

Server = tuple[str, int]


def txt_lookup(
    servers: Sequence[Server] | None = None, *, deadline: float = DEADLINE, try_seconds: float = TRY_SECONDS
) -> Callable[[str], tuple[str, ...]]:
    """A lookup over `servers` (address, port), by default the system's. The lookup returns the TXT records of
    a name, and nothing if there are none or no server answers. It blocks for about `deadline` seconds at most
    and asks each server for `try_seconds`; thread-safe.
    """

    def lookup(name: str) -> tuple[str, ...]:
        if not name or not name.isascii():
            return ()
        from dns.exception import DNSException
        from dns.nameserver import Do53Nameserver
        from dns.resolver import Resolver

        try:
            resolver = Resolver(configure=servers is None)
            if servers is not None:
                resolver.nameservers = [Do53Nameserver(*server) for server in servers]
            resolver.timeout = try_seconds
            records = resolver.resolve(name, "TXT", lifetime=deadline)
            found = [b"".join(record.strings).decode("utf-8", "replace") for record in records]
        except (DNSException, OSError, ValueError):
            return ()  # no such record, no resolver, silence, or nonsense
        return tuple(found[:_RECORDS_MOST])

    return lookup
