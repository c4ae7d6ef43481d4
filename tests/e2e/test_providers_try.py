"""`keyfob providers try`: a whole sign-in of a preset at a provider that Keyfob plays itself."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from keyfob.core.methods import METHOD_FACTS, METHODS, Method
from keyfob.core.provider import Provider
from keyfob.core.resources import resources
from keyfob.demo.trial.run import run as try_preset
from keyfob.engine import Engine, build
from keyfob.providers.catalogue import Catalogue
from support.cli_run import opens, run
from support.fake_ports import ScriptedTransport, fake_ports
from support.running import Ran

pytestmark = pytest.mark.network

CATALOGUE = Catalogue(resources() / "providers")
ACME = """\
id = "acme"
title = "Acme"
methods = ["oauth", "device"]
scopes = ["profile", "parts"]
scope_separator = ","

[policy]
client_id = "user"
register_at = "https://developer.acme.example/apps"

[client]
auth = "client_secret_basic"
secret = "required"

[endpoints]
authorization_endpoint = "https://acme.example/oauth/authorize"
token_endpoint = "https://acme.example/oauth/token"
device_authorization_endpoint = "https://acme.example/oauth/device"

[redirect]
port = "any"

[authorize_params]
audience = "parts"

[token_headers]
X-Acme = "1"

[token_answer]
path = ["grant"]
expires_kind = "epoch"

[api]
base = "https://api.acme.example/v1"
placement = "header"
name = "X-Token"

[identity]
source = "request"
url = "https://api.acme.example/v1/me"

[identity.map]
subject = "users.0.id"
name = "users.0.full_name"

[revocation]
style = "rfc7009"
url = "https://acme.example/oauth/revoke"
"""


@pytest.fixture
def transport() -> ScriptedTransport:
    return ScriptedTransport()


@pytest.fixture
def engine(tmp_path: Path, transport: ScriptedTransport) -> Engine:
    return build(fake_ports(tmp_path, transport=transport))


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    path = tmp_path / "acme.toml"
    path.write_text(ACME)
    return path


def call(engine: Engine, *argv: str) -> Ran:
    return run(["providers", "try", *argv], opens(engine))


def test_each_request_is_printed_with_placeholders(
    engine: Engine, acme: Path, transport: ScriptedTransport
) -> None:
    ran = call(engine, str(acme))
    assert ran.code == 0, ran.err
    for line in (
        "Acme: browser",
        "1. GET https://acme.example/oauth/authorize (browser, answered 302)",
        "? scope = profile,parts",
        "? audience = parts",
        "? state = <state>",
        "? code_challenge = <PKCE challenge>",
        "2. POST https://acme.example/oauth/token (token, answered 200)",
        "X-Acme: 1",
        "Authorization: Basic <client id>:<client secret>",
        "code = <code>",
        "code_verifier = <PKCE verifier>",
        "X-Token: <access token>",
        "refresh_token = <refresh token>",
        "Revocation (confirmed)",
        "token = <refresh token>",
        "subject  trial-user-1",
        "name     Alice Trial",
    ):
        assert line in ran.out, f"{line}\n{ran.out}"
    assert "trial-client-id" not in ran.out
    assert "trial-access-token" not in ran.out
    # Nothing was asked of the network, and nothing was kept.
    assert transport.requests == []
    assert engine.store.records() == []


def test_the_document_for_scripts(engine: Engine, acme: Path) -> None:
    ran = call(engine, str(acme), "--method", "device", "--json")
    document = ran.json
    assert (document["provider"], document["method"], document["ok"]) == ("acme", "device", True)
    assert [step["step"] for step in document["steps"]] == ["sign-in", "renewal", "revocation"]
    begun, polled, asked = document["steps"][0]["requests"]
    assert begun["form"] == {"scope": "profile,parts"}
    assert polled["form"]["device_code"] == "<device code>"
    assert (asked["url"], asked["by"]) == ("https://api.acme.example/v1/me", "keyfob")
    assert document["identity"]["subject"] == "trial-user-1"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        # An ID token comes only if the scope openid is asked for.
        (
            {
                'source = "request"\nurl = "https://api.acme.example/v1/me"': 'source = "id_token"',
                "[redirect]": 'jwks_uri = "https://acme.example/jwks"\n\n[redirect]',
            },
            "identity.source",
        ),
        ({'subject = "users.0.id"': 'subject = "=x\\u0007"'}, "identity.map.subject"),
    ],
)
def test_a_failing_step_names_the_key_at_fault(
    engine: Engine, acme: Path, changes: dict[str, str], key: str
) -> None:
    text = ACME
    for old, new in changes.items():
        text = text.replace(old, new)
    acme.write_text(text)
    ran = call(engine, str(acme))
    assert ran.code in (8, 9), ran.out + ran.err
    assert ran.out == ""
    assert "1. GET https://acme.example/oauth/authorize" in ran.err
    assert f"The preset's key at fault is probably: {key}" in ran.err
    assert "Acme does not say who signed in" in ran.last
    failed = json.loads(call(engine, str(acme), "--json").err.splitlines()[-1])
    assert (failed["key"], failed["step"], failed["ok"]) == (key, "sign-in", False)


def test_a_faulty_file_is_not_tried(engine: Engine, acme: Path) -> None:
    acme.write_text(ACME.replace("https://acme.example/oauth/token", "http://acme.example/oauth/token"))
    ran = call(engine, str(acme))
    assert ran.code == 8
    assert "endpoints.token_endpoint" in ran.err


def test_a_provider_is_tried_by_its_id_with_inputs(engine: Engine) -> None:
    ran = call(engine, "mastodon", "--input", "instance=social.example")
    assert ran.code == 0, ran.err
    assert "POST https://social.example/api/v1/apps" in ran.out
    assert call(engine, "nobody-knows").code == 7
    assert call(engine, "github", "--method", "password").code == 8


def test_github_without_a_secret_revokes_at_the_address_for_that(engine: Engine) -> None:
    """The account keeps the address that fits its client. The other one wants a secret."""
    document = call(engine, "github", "--method", "device", "--json").json
    revoked = document["steps"][-1]["requests"]
    assert {each["url"] for each in revoked} == {"https://api.github.com/credentials/revoke"}


@pytest.mark.parametrize("method", METHODS)
def test_every_preset_can_be_tried(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyfob.service.runner.pause", lambda _span, _cancel: None)
    found = [provider for provider in CATALOGUE.all() if method in provider.methods]

    def trial(provider: Provider) -> str | None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        done = try_preset(provider, method, callback_port=port)
        failed = done.failed
        if failed is not None:
            assert failed.error is not None
            return f"{provider.id}: {failed.name}: {failed.error.message} ({failed.at_fault})"
        says_who = METHOD_FACTS[method].needs_client and provider.identity.source != "none"
        missing = says_who and not done.identity
        return f"{provider.id}: nobody was identified" if missing else None

    # A port that a preset names itself is used by one sign-in at a time.
    alone = [each for each in found if each.redirect.ports and METHOD_FACTS[method].comes_back]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(trial, [each for each in found if each not in alone]))
    assert [result for result in (*results, *map(trial, alone)) if result] == []
