"""Whether a host is this computer or on its own network, and whether it is one of a list. Every rule
about plain http, private addresses and the hosts of a preset uses this file.

It checks a host as written and asks no resolver. The transport does the rest: for plain http it connects only
to loopback addresses, whatever `localhost` resolves to.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

# A last label of digits is an address in disguise (0x7f.1, 2130706433). Resolvers read it, each differently.
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")

_OWN = tuple(
    ipaddress.ip_network(each)
    for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
)
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
# The second level of many countries, as in co.uk and com.au.
_PUBLIC = frozenset({"ac", "co", "com", "edu", "gob", "gov", "gouv", "go", "ne", "net", "or", "org"})


def is_loopback(host: str | None) -> bool:
    """Whether plain http to a URL's host stays on this computer: 127.0.0.0/8, ::1, or `localhost`. Takes an
    IPv6 address with or without brackets.

    Not the names below `localhost` nor `localhost.`: RFC 6761 §6.3 lets a resolver ask the network for them,
    and the browsers and tools that get an address resolve it themselves. Nor the short and numeric forms of
    an address.
    """
    if not host:
        return False
    if host.lower() == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def is_inside(host: str | None) -> bool:
    """Whether a URL's host is this computer or an address of its own network (RFC 1918, link-local, …), in
    any form that a resolver may read so. Of names, only `localhost` and those below it are: what others lead
    to must prove itself by its certificate.
    """
    if not host:
        return False
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(name)
    if address is not None:
        return not address.is_global
    return is_disguised(name)


def may_be_plain(host: str | None) -> bool:
    """Whether a host can be allowed without TLS if the user agrees: a private address of the own network
    (RFC 1918, link-local, unique local), a name below `.local` (RFC 6762), or a name without a dot. This
    computer needs nobody's agreement.
    """
    if not host or is_loopback(host):
        return False
    if is_own_network(host):
        return True
    name = host.lower()
    if _NAME.fullmatch(name) is None or is_disguised(name) or name == "localhost":
        return False
    return "." not in name or (name.endswith(".local") and _address(name) is None)


def is_own_network(host: str) -> bool:
    """Whether this is an address of the own network: where plain http to a name may lead."""
    address = _address(host.partition("%")[0])
    if address is None or address.is_loopback or address.is_unspecified or address.is_multicast:
        return False
    return any(address in network for network in _OWN if network.version == address.version)


def plain_host(text: str) -> str | None:
    """`HOST[:PORT]`, also with http:// before it, as it stands in an address; None if TLS cannot be left
    out there.
    """
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        _ = parts.port
    except ValueError:
        return None
    fits = parts.scheme == "http" and "@" not in parts.netloc and may_be_plain(parts.hostname)
    return parts.netloc.lower() if fits else None


def is_plain_host(url: str, allowed: str | None) -> bool:
    """Whether an http address is at the host that the user allowed without TLS, and may be."""
    parts = urlsplit(url)
    return (
        allowed is not None
        and parts.scheme == "http"
        and parts.netloc.lower() == allowed
        and may_be_plain(parts.hostname)
    )


def is_disguised(host: str) -> bool:
    """Whether a name is an IPv4 address in a form that few parsers read
    alike: 127.1, 2130706433, 0x7f000001.
    """
    return _NUMBER.fullmatch(host.removesuffix(".").rpartition(".")[2]) is not None and _address(host) is None


def is_suffix(host: str) -> bool:
    """Whether an entry of a list stands for every host below a name, such as `*.googleapis.com`."""
    return host.startswith("*.")


def is_listed(host: str, entries: Iterable[str]) -> bool:
    """Whether a URL's host (with its port, if it has one) is in a list of hosts. An entry `*.example.org`
    holds for `a.example.org` and `a.b.example.org` without a port, never for `example.org` itself, nor for a
    name that only ends with the same letters.
    """
    name = host.lower()
    return any(
        bool(_NAME.fullmatch(name)) and name.endswith(entry[1:])
        if is_suffix(entry)
        else name == entry.lower()
        for entry in entries
    )


def suffix_fault(entry: str) -> str | None:
    """What an entry `*.name` should be, if it is not; None if it is fine. A name that everybody registers
    names under would let a token go to anybody.
    """
    if not _NAME.fullmatch(entry[2:]):
        return "it should be *. and a host name, in lower case and without a port"
    labels = entry[2:].split(".")
    if len(labels) < 2 or labels[-1].isdigit():
        return "it should have at least two labels after *., such as *.example.org"
    if len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _PUBLIC:
        return "anybody can register a name below it; it should be the provider's own name"
    return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    text = host[1:-1] if host.startswith("[") and host.endswith("]") and ":" in host else host
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # Python before 3.13 does not look into an IPv4 address inside an IPv6 one.
    return getattr(address, "ipv4_mapped", None) or address


def site(host: str) -> str:
    """The site that a host belongs to: the last two labels of its name, or three where a country's second
    level is everybody's (co.uk). An address, and a name without a dot, are sites of their own.
    """
    name = host.lower().removesuffix(".")
    if _address(name) is not None:
        return name
    labels = name.split(".")
    count = 3 if len(labels[-1]) == 2 and labels[-2:-1] and labels[-2] in _PUBLIC else 2
    return ".".join(labels[-count:])
