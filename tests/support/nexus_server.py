"""Our Nexus Mods on loopback: the v1, v2 and v3 APIs, the sign-in and the delivery, over real sockets.

    with NexusServer() as server:
        server.site.members[1].hourly_left = 0
        ... httpx.get(f"{server.base}/v1/users/validate", headers={"apikey": "key-of-aldis"})

Bodies of errors are quoted from the sources in `nexus_site.py`. `NexusServer.preset` is Keyfob's own preset
with the addresses of this server.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt

from support.nexus_api import Refused, route
from support.nexus_cdn import CdnHandler
from support.nexus_site import DAILY, HOURLY, Asked, Member, Site, sample_site

PRESET = Path(__file__).resolve().parents[2] / "resources" / "providers" / "nexusmods.toml"
# What Cloudflare shows a client that it doubts (RES and many clients' issues): a page, not JSON.
CLOUDFLARE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"
NO_KEY = {"message": "Please provide an API Key with your request"}  # VTX
WRONG_KEY = {"message": "Please provide a valid API Key"}  # JD
EXPIRED = {"message": "Token has expired"}  # NNA
TOO_MANY = {"msg": "You have fired too many requests. Please wait for some time."}  # JD: msg, not message


class NexusServer:
    """Two servers on loopback, API and CDN, that end with the `with` block."""

    def __init__(self, site: Site | None = None) -> None:
        self.site = site or sample_site()
        self._servers = [
            ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (handler,), {"site": self.site}))
            for handler in (ApiHandler, CdnHandler)
        ]
        self.base, self.cdn = (f"http://127.0.0.1:{each.server_address[1]}" for each in self._servers)
        self.site.base, self.site.cdn = self.base, self.cdn

    def __enter__(self) -> NexusServer:
        self._threads = []
        for server in self._servers:
            server.daemon_threads = True
            thread = threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
            )
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join(5)

    @property
    def preset(self) -> str:
        """Keyfob's preset for Nexus Mods, at this server. To be saved as `nexusmods.toml`."""
        text = PRESET.read_text("utf-8")
        for host in ("api", "users"):
            text = text.replace(f"https://{host}.nexusmods.com", self.base)
        return text


class ApiHandler(BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body waits 40 ms for its head to be acknowledged

    def _do(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length") or 0))
        self.site.asked.append(Asked("api", self.command, self.path, headers))
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if address.path.startswith("/oauth/"):
            self._oauth(address.path, query, body, headers)
        else:
            self._answer(address.path, query, body, headers)

    do_GET = do_POST = do_DELETE = _do

    def _answer(self, path: str, query: dict[str, str], body: bytes, headers: dict[str, str]) -> None:
        for name in ("application-name", "application-version"):  # required by policy on every call
            if not headers.get(name):
                self.site.offences.append(f"{name} is missing: {path}")
        if self._fault(path):
            return
        member: Member | None = None
        try:
            member = None if path.startswith("/v3/") else member_of(self.site, headers)
            if member is None and path.startswith("/v1/"):
                raise Refused(401, NO_KEY)
            if member is not None and path.startswith("/v1/"):  # limits of v2 are not documented
                _spend(member)
            status, answer = 200, route(self.site, member, self.command, path, query, _json(body))
        except Refused as refused:
            status, answer = refused.status, refused.body
        self._send(
            status,
            json.dumps(answer).encode(),
            "application/json",
            _limits(self.site, member) if path.startswith("/v1/") else {},
        )

    def _fault(self, path: str) -> bool:
        """What goes wrong with this request, if something does."""
        found = next((each for each in self.site.faults if each[0] in path), None)
        if found is None:
            return False
        self.site.faults.remove(found)
        kinds: Mapping[str, tuple[int, bytes, str]] = {
            "cloudflare": (403, CLOUDFLARE, "text/html; charset=UTF-8"),
            "202": (202, b"", "application/json"),  # not processed in time (NNA)
            "null": (200, b"null", "application/json"),  # counts as a failure (MO2)
            "521": (521, b"Bad Gateway", "text/plain"),  # offline (NNA)
            "too_fast": (429, json.dumps(TOO_MANY).encode(), "application/json"),
            "500": (500, b"", "text/plain"),
            "wait_long": (429, json.dumps(TOO_MANY).encode(), "application/json"),
            "moved": (301, b"", "text/plain"),
            "moved_away": (301, b"", "text/plain"),
        }
        status, body, kind = kinds[found[1]]
        more = {
            "too_fast": {"Retry-After": "1"},
            "wait_long": {"Retry-After": "3600"},
            "moved": {"Location": f"{path}.json"},  # followed by MO2
            "moved_away": {"Location": f"{self.site.cdn}{path}"},
            "cloudflare": {"Server": "cloudflare", "CF-RAY": "8a1b2c3d4e5f-AMS"},
        }.get(found[1], {})
        self._send(status, body, kind, more)
        return True

    def _oauth(self, path: str, query: dict[str, str], body: bytes, headers: dict[str, str]) -> None:
        if path == "/oauth/authorize":
            code = secrets.token_urlsafe(16)
            self.site.codes[code] = (self.site.signing_in, query["code_challenge"])
            self.send_response(302)
            back = {"code": code, "state": query["state"]}
            self.send_header("Location", f"{query['redirect_uri']}?{urlencode(back)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if path == "/oauth/token":
            form = _json(body) if "json" in headers.get("content-type", "") else None
            fields = form or {name: values[0] for name, values in parse_qs(body.decode()).items()}
            status, answer = token_answer(self.site, fields)
        elif path == "/oauth/userinfo":
            member = member_of(self.site, headers)
            assert member is not None
            status, answer = (
                200,
                {"sub": str(member.id), "name": member.name, "membership_roles": member.roles},
            )
        else:
            status, answer = 404, {"error": "not found"}
        self._send(status, json.dumps(answer).encode(), "application/json", {})

    def _send(self, status: int, body: bytes, kind: str, more: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


# --- who asks -----------------------------------------------------------------------------------------------


def member_of(site: Site, headers: Mapping[str, str]) -> Member | None:
    """Whose key or token came with the request; None if none did."""
    key, bearer = headers.get("apikey"), headers.get("authorization", "").removeprefix("Bearer ")
    if key:
        found = next((each for each in site.members.values() if each.key == key), None)
        if found is None:
            raise Refused(401, WRONG_KEY)
        return found
    if not bearer:
        return None
    if bearer not in site.tokens:
        raise Refused(401, WRONG_KEY)
    number, end = site.tokens[bearer]
    if end <= site.clock():
        raise Refused(401, EXPIRED)
    return site.members[number]


def token_answer(site: Site, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """The token endpoint: a code is used once and bound to PKCE, a refresh token is used once."""
    if form.get("grant_type") == "authorization_code":
        number, challenge = site.codes.pop(form.get("code", ""), (0, ""))
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if not number or base64.urlsafe_b64encode(digest).decode().rstrip("=") != challenge:
            return 400, {"error": "invalid_grant"}
    else:
        number = site.refresh.pop(form.get("refresh_token", ""), 0)
        if not number:
            return 400, {"error": "invalid_grant"}
    return 200, issue(site, number)


def issue(site: Site, number: int) -> dict[str, Any]:
    """New tokens of a member. Claims as in VTX IJWTAccessToken.ts."""
    member, now = site.members[number], site.clock()
    claims = {
        "sub": str(member.id),
        "iat": int(now),
        "exp": int(now + site.token_life),
        "iss": "https://users.nexusmods.com",
        "jti": secrets.token_hex(8),
        "application_id": 7,
        "user": {
            "id": member.id,
            "username": member.name,
            "group_id": 3,
            "other_group_ids": "",
            "joined": 1_500_000_000,
            "membership_roles": list(member.roles),
            "premium_expiry": 0,
            "age_verified": True,
            "permissions": {},
        },
    }
    access = jwt.encode(claims, site.secret * 2, "HS256")
    fresh = secrets.token_urlsafe(24)
    site.tokens[access] = (number, now + site.token_life)
    site.refresh[fresh] = number
    return {
        "access_token": access,
        "refresh_token": fresh,
        "token_type": "Bearer",
        "expires_in": int(site.token_life),
        "scope": "openid profile email",
    }


def _spend(member: Member) -> None:
    """The hourly requests are the reserve, once the daily ones are spent (NNA; help article 105)."""
    if member.daily_left > 0:
        member.daily_left -= 1
    elif member.hourly_left > 0:
        member.hourly_left -= 1
    else:
        raise Refused(429, TOO_MANY)


def _limits(site: Site, member: Member | None) -> dict[str, str]:
    """Both shapes of time are from a client's recorded replies; NMA ResponseMetadata.cs has the names."""
    if member is None or not site.limits_shown:
        return {}
    return {
        "x-rl-hourly-limit": str(HOURLY),
        "x-rl-hourly-remaining": str(member.hourly_left),
        "x-rl-hourly-reset": "2099-10-02T16:00:00+00:00",
        "x-rl-daily-limit": str(DAILY),
        "x-rl-daily-remaining": str(member.daily_left),
        "x-rl-daily-reset": "2099-10-03 00:00:00 +0000",
        "x-runtime": "0.011",
    }


def _json(body: bytes) -> Any:
    return json.loads(body) if body else None
