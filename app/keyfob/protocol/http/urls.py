"""Checks addresses from presets, metadata and peers before anything is sent to them.

Every flow calls it before it sends a request to an address that it did not create, or opens it in the
browser. An address is only a value here: nothing in this file resolves, opens or runs it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from keyfob.core.errors import SettingWrong
from keyfob.core.hosts import is_inside, is_loopback, is_plain_host
from keyfob.core.text import plain

MOST = 2_048  # characters of an endpoint's address; longer ones are not addresses
# What RFC 3986 lets an address consist of. Blanks, controls, quotes, backslashes, braces and pipes are
# outside it, and are what a shell or a lenient parser would read otherwise than we do.
_ALLOWED = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")


def leads_inside(url: str, named_by: str | None) -> bool:
    """Whether a peer sends us to a service of this computer or its network. `named_by` is the peer's own
    address; one that is inside itself, because the user chose it, may name its neighbours. None: only the
    user names it.
    """
    if named_by is None or is_inside(urlsplit(named_by).hostname):
        return False
    return is_inside(urlsplit(url).hostname)


def fault_of(url: object, *, most: int = MOST, plain_host: str | None = None) -> str | None:
    """Why an address is unfit to be used, None if it is fit: `https`, or `http` on loopback and at
    `plain_host`, for which the user has agreed to it; a host; no user name; no character that RFC 3986 leaves
    out, so that none means anything to a shell or a command's options; no more than `most` characters.
    """
    if not isinstance(url, str) or not url:
        return "it is not an address"
    if len(url) > most:
        return "it is too long"
    if not _ALLOWED.fullmatch(url):
        return "it has invalid characters"
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port
    except ValueError:
        return "it is not an address"
    if parts.scheme not in ("https", "http"):
        return "it is not https"
    if "@" in parts.netloc:
        return "it contains a username"
    host = parts.hostname
    if not host or port == 0 or not (parts.netloc.startswith("[") or _HOST.fullmatch(host)):
        return "its host is not valid"
    if parts.scheme == "http" and not is_loopback(host) and not is_plain_host(url, plain_host):
        return "it is not https"
    return None


def safe(url: str | None, what: str, plain_host: str | None = None) -> str:
    """The address, if it may be used; `what` names it in the error ("The token endpoint"). `plain_host`: as
    in `fault_of`.

    Raises SettingWrong `endpoint_unsafe`, or `preset_faulty` if there is none.
    """
    if url is None:
        raise SettingWrong(f"{what} is not known", code="preset_faulty")
    fault = fault_of(url, plain_host=plain_host)
    if fault is not None:
        raise SettingWrong(f"{what} cannot be used: {fault}", code="endpoint_unsafe", detail=plain(url))
    return url


def with_query(endpoint: str, params: Mapping[str, str]) -> str:
    """`endpoint` with `params`; its own query stays (RFC 6749 §3.1), Keyfob's parameter replaces one with the
    same name, so that none goes out twice. A fragment is dropped.
    """
    parts = urlsplit(endpoint)
    own = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k not in params]
    return parts._replace(query=urlencode([*own, *params.items()]), fragment="").geturl()


def origin_of(url: str) -> str:
    """Scheme, host and port (RFC 6454), lower case, the scheme's own port left out."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(scheme)) else f":{parts.port}"
    return f"{scheme}://{host}{port}"
