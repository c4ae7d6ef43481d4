"""Which requests the server takes at all (RFC 9112), before it looks who calls."""

from __future__ import annotations

from collections.abc import Collection

from aiohttp import web
from aiohttp.http import HttpVersion11

FORBIDDEN_METHODS = ("CONNECT", "TRACE")


def fault_of(request: web.Request, hosts: Collection[str] | None) -> tuple[int, str] | None:
    """A status and a reason if the request is refused. `hosts`: what `Host` may be; None for any.

    aiohttp's parser refuses most of what two programs could read in two ways. The rest is refused here.
    """
    fault = method_fault(request.method, request.raw_path)
    if fault is not None:
        return fault
    coding = request.headers.getall("Transfer-Encoding", [])
    if coding and (request.version < HttpVersion11 or [one.lower() for one in coding] != ["chunked"]):
        return 400, "The length of the body is not clear"
    if any("_" in name for name in request.headers):
        return 400, "A header has an underscore in its name"
    if hosts is not None and request.headers.get("Host", "").lower() not in hosts:
        return 421, "This is not the gateway's address"
    # A page in a browser has no business here: whatever it sends, it gets nothing.
    if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") not in (
        "none",
        "same-origin",
    ):
        return 403, "Pages in a browser cannot use the gateway"
    return None


def method_fault(method: str, target: str) -> tuple[int, str] | None:
    """A status and a reason for a method or a raw target that is never passed on."""
    if method in FORBIDDEN_METHODS or not target.startswith("/"):
        return 400, "The request is for another server"
    return None
