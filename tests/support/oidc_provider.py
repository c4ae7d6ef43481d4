"""npm's oidc-provider as a test server: a real, certified authorization server on a free loopback port.

    with OidcProvider(ACCESS_TTL="5") as server:
        server.issuer, server.counts(), server.revoke("alice"), server.outage("/token", status=503, times=2)

Clients (redirect to any port of `http://127.0.0.1/callback`): `native` (public), `dpop`, `par`, `BASIC_ID`
and `post` (with secrets). Its login page takes any name and any password; the name is the subject.
"""

from __future__ import annotations

import html
import json
import os
import re
import select
import subprocess
from types import TracebackType
from typing import Any
from urllib.parse import urljoin

import httpx

from support import node

BASIC_ID = "basic client:1"
BASIC_SECRET = "a secret: 50% + this & more"
POST_ID, POST_SECRET = "post", "posted-secret"
SERVICE_ID, SERVICE_SECRET = "service", "service-secret"  # for client credentials alone
START_SECONDS = 30


class OidcProvider:
    """Start with `with`. Environment of `oidc_provider/server.mjs` comes as keyword arguments."""

    def __init__(self, **environment: str) -> None:
        self._environment = environment
        self.issuer = ""

    def __enter__(self) -> OidcProvider:
        folder = node.installed("oidc_provider")
        self._process = subprocess.Popen(
            [str(node.node(node.SERVERS["oidc_provider"])), "server.mjs"],
            cwd=folder,
            env={**os.environ, **self._environment, "NODE_NO_WARNINGS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            self.stop()
            raise RuntimeError("oidc-provider did not start")
        self.issuer = json.loads(line)["issuer"]
        self._http = httpx.Client(base_url=self.issuer, timeout=10, trust_env=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        self.stop()

    def stop(self) -> None:
        """End the server's process, and with it all that it knew."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _control(self, method: str, what: str, **body: Any) -> Any:
        answer = self._http.request(method, f"/control/{what}", json=body if method == "POST" else None)
        answer.raise_for_status()
        return answer.json()

    def counts(self) -> dict[str, int]:
        """How often each path was asked (`/token`), and each grant given (`grant refresh_token`)."""
        counted: dict[str, int] = self._control("GET", "counts")
        return counted

    def reset(self) -> None:
        """Counts to nothing, outages over."""
        self._control("POST", "reset")

    def ttl(self, **seconds: int) -> None:
        """Lifetimes from now on: AccessToken, ClientCredentials, RefreshToken, AuthorizationCode, DeviceCode,
        IdToken.
        """
        self._control("POST", "ttl", **seconds)

    def behave(self, *, rotate: bool | None = None, nonces: bool | None = None) -> None:
        wanted = {"rotate": rotate, "nonces": nonces}
        self._control("POST", "behaviour", **{k: v for k, v in wanted.items() if v is not None})

    def revoke(self, account: str) -> int:
        """End each grant and session of this person; returns how many grants there were."""
        ended: int = self._control("POST", "revoke", account=account)["ended"]
        return ended

    def live(self, account: str) -> list[str]:
        """The grants of this person that have a refresh token which still works."""
        grants: list[str] = self._control("POST", "live", account=account)
        return grants

    def outage(
        self, path: str, *, status: int = 503, times: int = 1_000_000, body: str = "down", **headers: str
    ) -> None:
        """From now on, `times` requests to this path are answered like this. `times=0` ends it."""
        self._control("POST", "outage", path=path, status=status, times=times, body=body, headers=headers)

    def add_client(self, **metadata: Any) -> None:
        """A further client: metadata as in RFC 7591, `client_id` among it."""
        self._control("POST", "clients", **metadata)

    def registered(self) -> list[str]:
        """The ids of the clients that came by registration or `add_client`."""
        ids: list[str] = self._control("GET", "clients")
        return ids


class Person:
    """Somebody in front of a browser, for tests without one: follows
    redirects and fills in the server's forms.
    """

    def __init__(self, name: str = "alice", *, declines: bool = False) -> None:
        self.name, self.declines = name, declines
        self._http = httpx.Client(timeout=10, trust_env=False)

    def __enter__(self) -> Person:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def visit(self, url: str, *, until: str | None = None) -> str:
        """Go to `url`, sign in and consent; returns the address that starts with `until` (which is not
        fetched), or with None the text of the last page.
        """
        answer, declined = self._http.get(url), False
        for _ in range(20):
            if answer.is_redirect:
                target = urljoin(str(answer.url), answer.headers["location"])
                if until is not None and target.startswith(until):
                    return target
                answer = self._http.get(target)
                continue
            form = _Form.of(answer)
            if form is None or declined:
                assert until is None, f"no way on from {answer.url}: {answer.status_code} {answer.text[:500]}"
                return answer.text
            if self.declines and form.abort is not None:
                answer = self._http.get(urljoin(str(answer.url), form.abort))
                continue
            fields = {
                **form.fields,
                **({"login": self.name, "password": "any"} if "login" in form.fields else {}),
            }
            if self.declines and form.device:
                fields["abort"], declined = "yes", True
            answer = self._http.post(urljoin(str(answer.url), form.action), data=fields)
        raise AssertionError("the server's pages go round in circles")


class _Form:
    def __init__(self, action: str, fields: dict[str, str], abort: str | None) -> None:
        self.action, self.fields, self.abort = action, fields, abort
        self.device = "confirm" in fields

    @classmethod
    def of(cls, answer: httpx.Response) -> _Form | None:
        found = re.search(r"<form\b[^>]*>.*?</form>", answer.text, re.DOTALL)
        if found is None:
            return None
        action = re.search(r'\baction="([^"]*)"', found.group())
        fields = {}
        for tag in re.findall(r"<input\b[^>]*>", found.group()):
            name, value = re.search(r'\bname="([^"]*)"', tag), re.search(r'\bvalue="([^"]*)"', tag)
            if name is not None:
                fields[name.group(1)] = html.unescape(value.group(1)) if value else ""
        abort = re.search(r'href="([^"]*/abort)"', answer.text)
        return cls(
            html.unescape(action.group(1)) if action else str(answer.url),
            fields,
            abort.group(1) if abort else None,
        )
