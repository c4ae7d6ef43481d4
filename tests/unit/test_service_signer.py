"""Credentials go to the provider's own addresses, in the way each API wants them, and nowhere else."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import jwt
import pytest

from keyfob.adapters.system.keys import new_key
from keyfob.core.errors import KeyfobError, SettingWrong, Usage
from keyfob.core.secret import Secret
from keyfob.service.accounts.signer import SignRequest
from support.agent_rig import AgentRig
from support.rig import ISSUER, PRESET


@pytest.fixture
def rig(tmp_path: Path) -> AgentRig:
    made = AgentRig(tmp_path)
    made.connect()
    return made


def sign(rig: AgentRig, url: str, *, ref: str = "example/alice", for_tool: bool = True, **more: object):  # type: ignore[no-untyped-def]
    return rig.signer.sign(ref, SignRequest("GET", url, **more), for_tool=for_tool)  # type: ignore[arg-type]


def placed(rig: AgentRig, name: str, api: str) -> str:
    """Another account of the same grant at a provider that wants its token so; its ref."""
    text = PRESET.replace('id = "example"', f'id = "{name}"').replace(
        '[api]\nbase = "https://id.example.org"', f'[api]\nbase = "https://id.example.org"\n{api}'
    )
    (rig.presets / f"{name}.toml").write_text(text)
    record = rig.record()
    account = replace(record.account, key=f"key-{name}", provider=name)
    rig.grants.save(account.key, rig.held())
    rig.store.put(replace(record, account=account))
    return name


# --- where ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "https://id.example.org.evil.example/",
        "https://id.example.org@evil.example/",
        "https://alice@id.example.org/me",
        "https://evil.example#@id.example.org/",
        "https://evil.example\\@id.example.org/",
        "https://id.example.org:8443/me",
        "https://id.example.org:0/me",
        "http://id.example.org/me",
        "http://127.0.0.1/me",
        "//id.example.org/me",
        "ftp://id.example.org/me",
        "https:/id.example.org/me",
        "https://id.example.org /me",
        "https://id.example.org/a b",
        "https://id.example.org/a\r\nHost: evil.example",
        "https://id%2Eexample.org/",
        "me",
    ],
)
def test_s_64_an_address_that_is_not_the_providers_is_refused(rig: AgentRig, url: str) -> None:
    """S-64: other hosts, other ports, plain http and `@` in the URL →
    refused, before a token is even read.
    """
    rig.clock.forward(days=1)  # a renewal would be due
    with pytest.raises(SettingWrong) as caught:
        sign(rig, url)
    assert caught.value.code == "host_not_allowed"
    assert caught.value.exit_code == 8
    assert rig.server.log == []


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("/me?x=1", f"{ISSUER}/me?x=1"),
        (f"{ISSUER}/me", f"{ISSUER}/me"),
        ("https://ID.example.org:443/me", "https://ID.example.org:443/me"),
        ("https://files.example.org/up", "https://files.example.org/up"),
    ],
)
def test_the_apis_own_hosts_are_allowed(rig: AgentRig, target: str, url: str) -> None:
    rig.store.put(
        replace(
            rig.record(),
            account=replace(
                rig.record().account, pin=replace(rig.record().account.pin, api_hosts=("files.example.org",))
            ),
        )
    )
    signed = sign(rig, target)
    assert (signed.url, dict(signed.headers)) == (url, {"Authorization": "Bearer access-1"})


def test_s64_all_hosts_below_a_name_are_allowed_and_none_that_only_looks_so(rig: AgentRig) -> None:
    account = rig.record().account
    pin = replace(account.pin, api_hosts=("*.example.org",))
    rig.store.put(replace(rig.record(), account=replace(account, pin=pin)))
    for url in ("https://files.example.org/up", "https://a.b.example.org:443/x"):
        assert sign(rig, url).headers["Authorization"] == "Bearer access-1"
    for url in (
        "https://example.org/",
        "https://evilexample.org/",
        "http://files.example.org/",
        "https://files.example.org:8443/",
        "https://files.example.org.evil.example/",
        "https://files.example.org./",
    ):
        with pytest.raises(SettingWrong) as caught:
            sign(rig, url)
        assert caught.value.code == "host_not_allowed"
    assert "*.example.org" in str(caught.value.facts["hosts"])
    assert not any("*" in host for host in rig.accounts.view("example/alice").hosts)


def test_a_redirect_off_the_hosts_is_not_followed(rig: AgentRig) -> None:
    """S-64: a redirect off the allowed hosts → refused."""
    assert rig.signer.follow("example", f"{ISSUER}/a/b", "../c") == f"{ISSUER}/c"
    for location in ("https://evil.example/", "//evil.example/", "http://id.example.org/"):
        with pytest.raises(SettingWrong) as caught:
            rig.signer.follow("example", f"{ISSUER}/a", location)
        assert caught.value.code == "host_not_allowed"


@pytest.mark.parametrize(
    "name",
    ["Authorization", "authorization", "DPoP", "Host", "Connection", "Transfer-Encoding", "TE", "Upgrade",
     "Proxy-Authorization", "Content-Length", "Keep-Alive", "X Y", "X:Y", "", "X\r\nY", "Ä"],
)  # fmt: skip
def test_s_64_headers_that_are_not_a_callers_to_set(rig: AgentRig, name: str) -> None:
    """S-64: a client's own `Authorization`, hop-by-hop tricks → refused."""
    with pytest.raises(Usage):
        rig.signer.check("example", "/me", [(name, "x")])


def test_s_64_a_header_is_one_header(rig: AgentRig) -> None:
    for value in ("a\r\nAuthorization: b", "a\nb", "a\0b"):
        with pytest.raises(Usage):
            rig.signer.check("example", "/me", [("X-Note", value)])
    assert rig.signer.check("example", "/me", [("X-Note", "fine"), ("Accept", "*/*")]) == f"{ISSUER}/me"


# --- how ----------------------------------------------------------------------------------------------------


def test_each_placement(rig: AgentRig) -> None:
    header = sign(
        rig, "/me", ref=placed(rig, "header", 'placement = "header"\nname = "X-Token"\nprefix = "t "')
    )
    assert dict(header.headers) == {"X-Token": "t access-1"}
    query = sign(rig, "/me?a=1", ref=placed(rig, "query", 'placement = "query"\nname = "key"'))
    assert (query.url, dict(query.headers)) == (f"{ISSUER}/me?a=1&key=access-1", {})
    basic = sign(rig, "/me", ref=placed(rig, "basic", 'placement = "basic"'))
    assert dict(basic.headers) == {"Authorization": "Basic " + base64.b64encode(b"access-1:").decode()}
    more = sign(rig, "/me", ref=placed(rig, "more", '[api.headers]\nX-Version = "7"'))
    assert dict(more.headers) == {"X-Version": "7", "Authorization": "Bearer access-1"}


def test_both_parts_of_a_key_go_and_neither_is_a_callers_to_set(rig: AgentRig) -> None:
    ref = placed(rig, "two", "")
    (rig.presets / "two.toml").write_text(
        f'''id = "two"
title = "Two"
methods = ["api_key"]
[api_key.api]
base = "{ISSUER}"
placement = "header"
name = "X-Key"
second = {{ title = "Application key", name = "X-App" }}
[api_key.identity]
url = "{ISSUER}/me"
'''
    )
    record = rig.store.get("key-two")
    assert record is not None
    rig.store.put(replace(record, account=replace(record.account, method="api_key")))
    rig.grants.save("key-two", replace(rig.held(), access=Secret("first-1 second-2"), generation=3))
    assert dict(sign(rig, "/me", ref=ref).headers) == {"X-Key": "first-1", "X-App": "second-2"}
    with pytest.raises(Usage, match="x-app"):
        rig.signer.check(ref, "/me", [("x-app", "mine")])


def test_the_carrier_of_a_key_is_not_a_callers_to_set(rig: AgentRig) -> None:
    ref = placed(rig, "header", 'placement = "header"\nname = "X-Token"')
    with pytest.raises(Usage, match="x-token"):
        rig.signer.check(ref, "/me", [("x-token", "mine")])


def test_a_bound_token_goes_with_a_proof_of_its_own(rig: AgentRig) -> None:
    """RFC 9449 §7: `Authorization: DPoP` and a proof for this method, address, token and nonce."""
    key = new_key()
    rig.grants.save("key-1", replace(rig.held(), key=key, token_type="DPoP", generation=2))
    first, second = (sign(rig, "/me?secret=1", nonce="n-1") for _ in range(2))
    assert first.headers["Authorization"] == "DPoP access-1"
    proofs = [
        jwt.decode(each.headers["DPoP"], options={"verify_signature": False}) for each in (first, second)
    ]
    assert (proofs[0]["htm"], proofs[0]["htu"], proofs[0]["nonce"]) == ("GET", f"{ISSUER}/me", "n-1")
    assert proofs[0]["ath"]
    assert proofs[0]["jti"] != proofs[1]["jti"]
    assert key.private_jwk.reveal() not in json.dumps(first.to_json())
    assert '"d"' not in json.dumps(jwt.get_unverified_header(first.headers["DPoP"]))


def test_a_refused_token_is_replaced_first(rig: AgentRig) -> None:
    signed = sign(rig, "/me", rejected=Secret("access-1"))
    assert signed.token == Secret("access-2")
    assert "access" not in repr(signed)


def test_what_terms_keep_from_tools_stays_usable_through_us(rig: AgentRig) -> None:
    ref = placed(rig, "closed", "")
    file = rig.presets / "closed.toml"
    file.write_text(file.read_text().replace("[policy]", '[policy]\nshare = false\nshare_reason = "Terms"'))
    with pytest.raises(KeyfobError) as caught:
        sign(rig, "/me", ref=ref)
    assert caught.value.code == "sharing_not_allowed"
    assert sign(rig, "/me", ref=ref, for_tool=False).token == Secret("access-1")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"method": "GET"},
        {"method": "G T", "url": "/me"},
        {"method": "GET", "url": 1},
        {"method": "GET", "url": "/me", "nonce": 1},
        {"method": "GET", "url": "/me", "rejected": []},
    ],
)
def test_a_request_that_says_too_little(body: dict[str, object]) -> None:
    with pytest.raises(Usage):
        SignRequest.of(body)
