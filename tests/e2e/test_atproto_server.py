"""atproto's OAuth profile against Bluesky's own data server and directory, the person in a real Chromium."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from keyfob.adapters.system.keys import new_key
from keyfob.adapters.vault.memory import MemoryVault
from keyfob.core.account import AccountView
from keyfob.core.errors import PeerFault, SignInEnded, SignInNeeded
from keyfob.core.grant import SigningKey
from keyfob.core.http import Request, Response
from keyfob.core.provider import Endpoints, Provider, Revocation, Server
from keyfob.engine import Engine, build, system_ports
from keyfob.process.home import open_home
from keyfob.protocol import dpop
from keyfob.protocol.atproto.sign_in import Resolved, resolve, sign_in
from keyfob.protocol.context import Client, FlowContext, SignInResult
from keyfob.protocol.oauth.renewal import renew
from keyfob.protocol.oauth.revoke import revoke
from keyfob.service.accounts.views import Progress, SignInRequest
from support.app_run import Stage
from support.atproto import AtprotoServer
from support.atproto_pages import sign_in_at
from support.chromium import chromium
from support.live import Live
from support.running import until
from support.session import DesktopSession

# The first run installs the server, and builds its database module where no built one can be had.
pytestmark = [
    pytest.mark.servers,
    pytest.mark.browser,
    pytest.mark.network,
    pytest.mark.keychain,
    pytest.mark.screen,
    pytest.mark.timeout(1200),
]

SCOPES = ("atproto", "transition:generic")
PASSWORDS = {"alice.test": "alice's password", "bob.test": "bob's password"}
SECONDS = 20


@dataclass
class World:
    server: AtprotoServer
    browser: webdriver.Chrome
    redirect_uri: str
    came_back: list[str]
    dids: dict[str, str]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    came_back: list[str] = []

    class Callback(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/callback?"):
                came_back.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: Any) -> None: ...

    folder = tmp_path_factory.mktemp("atproto")
    with (
        AtprotoServer(folder / "pds") as server,
        chromium(folder / "chromium") as browser,
        ThreadingHTTPServer(("127.0.0.1", 0), Callback) as http,
    ):
        serving = threading.Thread(target=http.serve_forever)
        serving.start()
        dids = {
            handle: server.add(handle, password, display_name=handle.partition(".")[0].title())
            for handle, password in PASSWORDS.items()
        }
        yield World(server, browser, f"http://127.0.0.1:{http.server_port}/callback", came_back, dids)
        http.shutdown()
        serving.join()


@pytest.fixture(autouse=True)
def nobody_signed_in(world: World) -> None:
    world.browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    world.came_back.clear()


def person(world: World, handle: str, *, allows: bool = True) -> Live:
    """Somebody who signs in as `handle` when a browser opens."""

    def visit(url: str) -> str:
        go_through(world, url, handle, allows=allows)
        WebDriverWait(world.browser, SECONDS).until(lambda _: world.came_back)
        return world.redirect_uri.removesuffix("/callback") + world.came_back.pop()

    return Live(visit, redirect_uri=world.redirect_uri)


def go_through(world: World, url: str, handle: str, *, allows: bool = True) -> None:
    """The server's pages, up to the last button."""
    sign_in_at(world.browser, url, handle, PASSWORDS[handle], allows=allows)


def found(world: World, live: Live, identifier: str) -> Resolved:
    return live.perform(resolve(identifier, plc=world.server.plc, dns_txt=world.server.dns_txt))


def context_for(world: World, live: Live, key: SigningKey) -> FlowContext:
    provider = Provider(
        "bluesky", "Bluesky", methods=("atproto",), dpop="always", par="always",
        revocation=Revocation(style="rfc7009")
    )  # fmt: skip
    return FlowContext(
        provider, Server(None, Endpoints()), Client(None), live.env, redirect_uri=world.redirect_uri,
        scopes=SCOPES, dpop_key=key
    )  # fmt: skip


def signed_in(
    world: World, live: Live, ctx: FlowContext, resolved: Resolved
) -> tuple[SignInResult, FlowContext]:
    """The result, and the context as it is pinned for later."""
    result = live.perform(
        sign_in(
            ctx, resolved, state=live.secret(), code_verifier=live.secret(), plc=world.server.plc,
            dns_txt=world.server.dns_txt,
        )
    )  # fmt: skip
    return result, replace(ctx, server=resolved.server, client=Client(result.issued_client_id))


def session(live: Live, result: SignInResult) -> Response:
    url = f"{result.extra['pds']}/xrpc/com.atproto.server.getSession"
    request = Request("GET", url, "whoami", {"Accept": "application/json"})
    grant = result.grant
    return live.perform(dpop.send(request, key=grant.key, access=grant.access, env=live.env))


def test_the_whole_life_of_an_account(world: World) -> None:
    live = person(world, "alice.test")
    alice = world.dids["alice.test"]
    resolved = found(world, live, "@alice.test")
    assert (resolved.did, resolved.handle, resolved.pds) == (alice, "alice.test", world.server.pds)

    result, ctx = signed_in(world, live, context_for(world, live, new_key()), resolved)
    assert (result.identity.subject, result.identity.name, result.identity.username) == (
        alice,
        "Alice",
        "alice.test",
    )
    assert result.grant.token_type == "DPoP"
    assert set(SCOPES) <= set(result.grant.scopes)
    assert result.grant.refresh is not None
    assert json.loads(session(live, result).body)["did"] == alice

    grant = live.perform(renew(ctx, result.grant, subject=alice))
    assert grant.refresh != result.grant.refresh
    assert live.kept[-1] == grant
    assert grant.refresh is not None
    later = replace(result, grant=grant)
    assert session(live, later).status == 200

    assert live.perform(revoke(ctx, grant.refresh, "refresh_token")) == "yes"
    assert session(live, later).status == 401
    with pytest.raises(SignInNeeded) as caught:
        live.perform(renew(ctx, grant, subject=alice))
    assert caught.value.code == "grant_ended"


def test_a_revocation_without_a_proof_revokes_nothing(world: World) -> None:
    """Why `revoke` signs: this server answers 200 to one that is not signed."""
    live = person(world, "alice.test")
    result, ctx = signed_in(
        world, live, context_for(world, live, new_key()), found(world, live, "alice.test")
    )
    assert result.grant.refresh is not None
    assert live.perform(revoke(replace(ctx, dpop_key=None), result.grant.refresh, "refresh_token")) == "yes"
    assert session(live, result).status == 200
    assert live.perform(revoke(ctx, result.grant.refresh, "refresh_token")) == "yes"
    assert session(live, result).status == 401


def test_by_did_and_by_the_server_s_address(world: World) -> None:
    bob = world.dids["bob.test"]
    live = person(world, "bob.test")
    by_did = found(world, live, bob)
    assert by_did == found(world, live, "bob.test")
    by_server = found(world, live, world.server.pds)
    assert (by_server.did, by_server.server) == (None, by_did.server)
    result, _ = signed_in(world, live, context_for(world, live, new_key()), by_server)
    assert (result.identity.subject, result.identity.name) == (bob, "Bob")
    assert dict(result.extra) == {
        "did": bob, "handle": "bob.test", "pds": world.server.pds, "issuer": world.server.pds,
    }  # fmt: skip


def test_s58_somebody_else_signs_in(world: World) -> None:
    live = person(world, "bob.test")
    expected = replace(found(world, live, "alice.test"), login_hint=None)
    with pytest.raises(PeerFault) as caught:
        signed_in(world, live, context_for(world, live, new_key()), expected)
    assert caught.value.code == "subject_mismatch"
    assert live.requests[-1].url.endswith("/oauth/token"), "and nothing was asked with those tokens"


def test_s58_a_handle_that_is_not_claimed_back(world: World) -> None:
    live = Live()
    stolen = {"_atproto.mallory.test": (f"did={world.dids['alice.test']}",)}
    with pytest.raises(PeerFault) as caught:
        live.perform(resolve("mallory.test", plc=world.server.plc, dns_txt=lambda name: stolen.get(name, ())))
    assert caught.value.code == "identity_invalid"


def test_s56_nonces_are_asked_for_at_push_token_and_resource(world: World) -> None:
    live = person(world, "alice.test")
    result, _ = signed_in(world, live, context_for(world, live, new_key()), found(world, live, "alice.test"))
    pushes = [r for r in live.requests if r.url.endswith("/oauth/par")]
    tokens = [r for r in live.requests if r.url.endswith("/oauth/token")]
    assert (len(pushes), len(tokens)) == (2, 1), "one challenge; from then on the nonce is known"
    assert live.env.nonces.get(world.server.pds) is not None
    fresh = Live()
    assert session(fresh, result).status == 200
    assert len(fresh.requests) == 2


def test_declining(world: World) -> None:
    live = person(world, "alice.test", allows=False)
    with pytest.raises(SignInEnded) as caught:
        signed_in(world, live, context_for(world, live, new_key()), found(world, live, "alice.test"))
    assert caught.value.code == "declined"


PRESET = """
extends = "bluesky"
id = "here"
title = "Here"
[[inputs]]
name = "handle"
title = "Handle"
kind = "handle"
[[inputs]]
name = "plc"
title = "Directory"
kind = "url"
default = "{plc}"
"""


def test_a_whole_life_in_the_app(world: World, tmp_path: Path) -> None:
    """The engine as the app builds it: connect by handle, restart, renew, test, disconnect with a revocation
    that the server carries out, reconnect as the same person.
    """
    home = open_home({"KEYFOB_HOME": str(tmp_path / "home")})
    presets = home.config / "providers"
    presets.mkdir(parents=True, exist_ok=True)
    (presets / "here.toml").write_text(PRESET.format(plc=world.server.plc))
    vault = MemoryVault()

    def started() -> Engine:
        return build(replace(system_ports(home, vault=vault), dns_txt=world.server.dns_txt))

    def connect(engine: Engine, **request: Any) -> AccountView:
        attempt = engine.sign_in.begin(SignInRequest("here", open_browser=False, **request))
        opened: list[threading.Thread] = []

        def watch(progress: Progress) -> None:
            if progress.stage == "waiting" and progress.url is not None and not opened:
                url = progress.url.reveal()
                opened.append(threading.Thread(target=go_through, args=(world, url, "alice.test")))
                opened[0].start()

        attempt.observe(watch)
        account = engine.sign_in.run(
            attempt, lambda work, name: threading.Thread(target=work, name=name, daemon=True).start()
        )
        opened[0].join()
        return account

    engine = started()
    account = connect(engine, inputs={"handle": "@alice.test"})
    assert (account.id, account.name, account.subject) == (
        "here/alice.test",
        "Alice",
        world.dids["alice.test"],
    )
    assert account.grant_ends_at is not None, "a public client's session has a last day"
    assert engine.accounts.token("here", min_life=timedelta(0)).token_type == "DPoP"
    engine.close()

    engine = started()
    first = engine.accounts.token("here", min_life=timedelta(0)).token
    assert engine.accounts.renew("here").status == "connected"
    assert engine.accounts.token("here", min_life=timedelta(0)).token != first
    assert engine.accounts.test("here").ok
    assert engine.accounts.disconnect("here").revoked == "yes"
    world.browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    again = connect(engine, account="here/alice.test")
    assert (again.key, again.status) == (account.key, "connected")
    engine.close()


def test_by_the_command_line(world: World, tmp_path: Path) -> None:
    """`keyfob connect` with a server's address, its link opened in a real
    browser; the session's last day is told.
    """
    home = tmp_path / "home"
    presets = home / "config" / "providers"
    presets.mkdir(parents=True, mode=0o700)
    (presets / "here.toml").write_text(PRESET.format(plc=world.server.plc))
    with DesktopSession(keyring=True) as desktop:
        env = {**desktop.env, "KEYFOB_HOME": str(home)}
        keyfob = [sys.executable, "-m", "keyfob"]
        connect = [*keyfob, "connect", "here", "--handle", world.server.pds, "--no-browser", "--json"]
        with subprocess.Popen(
            connect, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            said: list[str] = []
            for line in process.stderr:
                said.append(line)
                if "/oauth/authorize" in line:
                    break
            url = next((word for word in "".join(said).split() if "/oauth/authorize" in word), "")
            assert url, said
            go_through(world, url, "alice.test")
            out, rest = process.communicate(timeout=60)
        assert process.returncode == 0, rest
        account = json.loads(out)
        assert (account["method"], account["subject"]) == ("atproto", world.dids["alice.test"])
        assert account["grant_ends_at"] is not None

        def told(*arguments: str) -> dict[str, Any]:
            done = subprocess.run(
                [*keyfob, *arguments, "--json"],
                env=env,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            answer: dict[str, Any] = json.loads(done.stdout)
            return answer

        assert told("token", "here")["token_type"] == "DPoP"
        assert told("renew", "here")["status"] == "connected"
        assert told("test", "here")["ok"]
        assert told("disconnect", "here")["revoked"] == "yes"


def test_in_the_window(world: World, tmp_path: Path) -> None:
    """The same in the dialog: the server's address typed, the link opened
    by `$BROWSER`, the person in Chromium.
    """
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o700)
    with DesktopSession() as desktop:
        desktop.start_screen()
        with Stage(tmp_path, desktop) as stage:
            presets = Path(stage.env["KEYFOB_HOME"]) / "config" / "providers"
            presets.mkdir(parents=True, exist_ok=True, mode=0o700)
            (presets / "here.toml").write_text(PRESET.format(plc=world.server.plc))
            with stage.window(BROWSER=f"{browser} %s") as window:
                window.type("Search providers", "Here")
                window.select(name="Here", window="Connect Account")
                window.press("Continue", window="Connect Account")
                window.type("Handle", world.server.pds, window="Connect Account")
                window.press("Continue", window="Connect Account")
                until(opened.exists, "the browser", 30)
                go_through(world, opened.read_text(), "alice.test")
                window.find(name="Connected as Alice", window="Connect Account", seconds=60)
                assert stage.account("here")["method"] == "atproto"
