"""A whole engine on a new home, one provider of a test's own, and a browser made of code.

Everything is real but the keychain (in memory) and the browser: the loopback listener, the sqlite store, the
lock files, the transport.
"""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from keyfob.adapters.system.entropy import entropy as system_entropy
from keyfob.adapters.vault.memory import MemoryVault
from keyfob.core.account import AccountView
from keyfob.core.errors import KeyfobError
from keyfob.core.grant import Grant
from keyfob.core.secret import Secret
from keyfob.engine import Engine, build, system_ports
from keyfob.ports import Entropy, Vault
from keyfob.process.home import open_home
from keyfob.service.accounts.grant_store import GrantStore
from keyfob.service.accounts.views import Progress, SignInRequest
from keyfob.service.sign_in.attempt import Attempt
from support.misbehaving import Misbehaving

PRESET = """
id = "here"
title = "Here"
tested = "software"
methods = ["oauth"]
issuer = "{issuer}"
discovery = "openid"
scopes = ["openid", "profile", "email"]
{top}
[policy]
client_id = "user"
register_at = "https://example.org/apps"
[client]
auth = "client_secret_basic"
secret = "optional"
[redirect]
port = "any"
path = "/callback"
[identity]
source = "userinfo"
[identity.map]
subject = "sub"
name = "name"
username = "preferred_username"
email = "email"
[revocation]
style = "rfc7009"
{tables}
"""


@dataclass(frozen=True)
class Page:
    status: int
    headers: dict[str, str]
    text: str
    url: str


def get(url: str, **headers: str) -> Page:
    """One request as a browser's top-level navigation makes it; no redirect is followed."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=10)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        told = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", **headers}
        connection.request("GET", path, headers=told)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        return Page(answer.status, {k.lower(): v for k, v in answer.getheaders()}, text, url)
    finally:
        connection.close()


def browse(url: str) -> list[Page]:
    """What a browser does with an address: follows redirects to the end."""
    pages = [get(url)]
    while pages[-1].status in (301, 302, 303, 307, 308) and len(pages) < 8:
        pages.append(get(urljoin(pages[-1].url, pages[-1].headers["location"])))
    return pages


def spawn(work: Callable[[], None], name: str) -> None:
    threading.Thread(target=work, name=name, daemon=True).start()


class Whole:
    """The engine and what a person does with it. `pages` is what the browser saw."""

    def __init__(
        self,
        folder: Path,
        provider: Misbehaving,
        *,
        vault: Vault | None = None,
        top: str = "",
        tables: str = "",
        deadline: float = 30.0,
        entropy: Entropy = system_entropy,
    ) -> None:
        self.folder = folder
        self.provider = provider
        self.home = open_home({"KEYFOB_HOME": str(folder / "home")})
        self.vault = vault or MemoryVault()
        self.write_preset(top=top, tables=tables)
        self.deadline = deadline
        self.entropy = entropy
        self.engine: Engine = self.another()
        self.pages: list[Page] = []
        self.stages: list[str] = []
        self.visit: Callable[[str], list[Page]] = browse
        self._visited = threading.Event()
        self._visited.set()

    def another(self) -> Engine:
        """A second engine on the same home and vault, as after a restart or in another process."""
        ports = system_ports(self.home, vault=self.vault, deadline=self.deadline)
        return build(replace(ports, entropy=self.entropy))

    def write_preset(
        self, *, issuer: str | None = None, top: str = "", tables: str = "", name: str = "here"
    ) -> None:
        folder = self.home.config / "providers"
        folder.mkdir(parents=True, exist_ok=True)
        text = PRESET.format(issuer=issuer or self.provider.issuer, top=top, tables=tables)
        (folder / f"{name}.toml").write_text(text.replace('id = "here"', f'id = "{name}"'))

    def attempt(self, **request: Any) -> Attempt:
        told = {"provider": "here", "client_id": "app", "open_browser": False, "timeout": 10.0, **request}
        attempt = self.engine.sign_in.begin(SignInRequest(**told))

        def watch(progress: Progress) -> None:
            self.stages.append(progress.stage)
            if progress.stage == "waiting" and progress.url is not None:
                url = progress.url.reveal()
                self._visited.clear()
                spawn(lambda: self._visit(url), "browser")

        attempt.observe(watch)
        return attempt

    def _visit(self, url: str) -> None:
        try:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.pages += self.visit(url)
        finally:
            self._visited.set()

    def connect(self, **request: Any) -> AccountView:
        """Sign in; raises what a person would be told. The browser has seen its last page by then."""
        attempt = self.attempt(**request)
        try:
            return self.engine.sign_in.run(attempt, spawn)
        finally:
            self._visited.wait(5)

    def fails(self, **request: Any) -> KeyfobError:
        """Sign in where that must not succeed: the error."""
        try:
            self.connect(**request)
        except KeyfobError as error:
            return error
        raise AssertionError("the sign-in succeeded")

    def renew(self, ref: str = "here") -> KeyfobError | None:
        """Renew now; what went wrong, None where nothing did."""
        try:
            self.engine.accounts.renew(ref)
        except KeyfobError as error:
            return error
        return None

    def grant(self, ref: str = "here") -> Grant:
        """What the vault holds."""
        stored = GrantStore(self.engine.vault).newest(self.engine.accounts.resolve(ref).account.key)
        assert stored is not None
        return stored.grant

    def token(self, ref: str = "here") -> str:
        return self.engine.accounts.token(ref).token.reveal()

    def entries(self) -> dict[str, Secret]:
        assert isinstance(self.vault, MemoryVault)
        return dict(self.vault.entries)

    @property
    def authorization(self) -> dict[str, str]:
        """The parameters of the last authorization request."""
        asked = [each for each in self.provider.requests if each.target.startswith("/authorize")]
        return dict(parse_qsl(urlsplit(asked[-1].target).query))
