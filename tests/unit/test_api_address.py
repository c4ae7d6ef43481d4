"""S-64: a provider names its API's address in the token answer, and the token goes there and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from keyfob.core.errors import PeerFault, SettingWrong
from keyfob.core.http import Request, Response
from keyfob.core.secret import Secret
from keyfob.engine import Engine
from keyfob.service.accounts.signer import SignRequest
from keyfob.service.accounts.views import SignInRequest
from support.fake_ports import NOW, ScriptedTransport
from support.sample_engine import sample_engine

HOME = "https://acme.my.force.example"
PRESET = """
id = "force"
title = "Force"
methods = ["password"]

[[inputs]]
name = "username"
title = "User name"

[policy]
client_id = "keyfob"

[client]
client_id = "keyfob-client"

[endpoints]
token_endpoint = "https://login.force.example/token"

[api.from_answer]
field = "instance_url"
hosts = ["*.my.force.example", "eu.force.example"]
path = "/services"

[identity]
source = "request"
url = "/me"
map = { subject = "id", name = "name" }
"""


class Server:
    """Answers tokens with `address` next to them."""

    def __init__(self) -> None:
        self.address: Any = HOME

    def answer(self, request: Request) -> Response:
        body: dict[str, Any] = {"id": "u-1", "name": "Ada"}
        if request.purpose in ("token", "refresh"):
            body = {
                "access_token": f"canary-{request.purpose}",
                "token_type": "Bearer",
                "refresh_token": "canary-refresh",
                "expires_in": 3600,
                "instance_url": self.address,
            }
        return Response(200, {"content-type": "application/json"}, json.dumps(body).encode(), NOW)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def engine(tmp_path: Path, server: Server) -> Engine:
    made = sample_engine(tmp_path, (), transport=ScriptedTransport(server.answer))
    folder = tmp_path / "home" / "config" / "providers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "force.toml").write_text(PRESET)
    return made


def sign_in(engine: Engine) -> None:
    request = SignInRequest(
        "force", "password", inputs={"username": "ada"}, password=Secret("canary-password"), label="ada"
    )
    engine.sign_in.run(engine.sign_in.begin(request), lambda work, _name: work())


def asked(engine: Engine) -> list[Request]:
    assert isinstance(engine.transport, ScriptedTransport)
    return engine.transport.requests


def test_the_account_keeps_the_address_that_it_was_signed_in_with(engine: Engine, server: Server) -> None:
    sign_in(engine)
    assert [request.url for request in asked(engine)] == [
        "https://login.force.example/token", f"{HOME}/services/me",
    ]  # fmt: skip
    server.address = "https://other.my.force.example"
    engine.accounts.renew("force/ada")
    assert engine.accounts.resolve("force/ada").account.pin.api_base == f"{HOME}/services"
    assert engine.accounts.view("force/ada").hosts == ("acme.my.force.example",)
    assert engine.accounts.test("force/ada").ok
    assert asked(engine)[-1].url == f"{HOME}/services/me"
    signed = engine.signer.sign("force/ada", SignRequest("GET", "/x"), for_tool=False)
    assert (signed.url, signed.headers["Authorization"]) == (f"{HOME}/services/x", "Bearer canary-refresh")
    for other in ("https://other.my.force.example/x", "https://eu.force.example/x"):
        with pytest.raises(SettingWrong) as caught:
            engine.signer.sign("force/ada", SignRequest("GET", other), for_tool=False)
        assert caught.value.code == "host_not_allowed"


@pytest.mark.parametrize(
    "address",
    [
        None,
        7,
        "",
        "acme.my.force.example",
        "http://acme.my.force.example",
        "https://my.force.example",
        "https://evilmy.force.example",
        "https://acme.my.force.example.evil.example",
        "https://acme.my.force.example:8443",
        "https://user@acme.my.force.example",
        "https://acme.my.force.example?x=",
        "https://acme.my.force.example#@evil.example",
        "https://evil.example/acme.my.force.example",
        "https://127.0.0.1",
    ],
)
def test_s64_an_address_that_the_preset_does_not_list_gets_no_token(
    engine: Engine, server: Server, address: Any
) -> None:
    server.address = address
    with pytest.raises(PeerFault, match="did not name an API address that its preset allows"):
        sign_in(engine)
    assert {request.url for request in asked(engine)} == {"https://login.force.example/token"}
    assert engine.accounts.views() == []
