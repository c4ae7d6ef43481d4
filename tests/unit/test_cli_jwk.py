"""`keyfob jwk` and `keyfob client-metadata`: private halves stay in the vault, public ones are printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keyfob.adapters.vault.memory import MemoryVault
from keyfob.core.errors import KeychainError
from keyfob.core.secret import Secret
from keyfob.engine import Engine, build
from keyfob.service.contexts import ClientSecrets
from support.cli_run import opens, run
from support.fake_ports import FixedClock, fake_ports
from support.records import a_record
from support.running import Ran

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "k")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return build(fake_ports(tmp_path, clock=FixedClock(AT)))


@pytest.fixture
def call(engine: Engine) -> Callable[..., Ran]:
    return lambda *argv: run(argv, opens(engine), now=lambda: AT)


def made(call: Callable[..., Ran], *argv: str) -> str:
    ran = call("jwk", "generate", *argv, "--json")
    assert ran.code == 0, ran.err
    return str(json.loads(ran.out)["kid"])


def test_without_keys_the_jwks_is_empty(call: Callable[..., Ran]) -> None:
    assert json.loads(call("jwk", "export").out) == {"keys": []}
    assert json.loads(call("jwk", "list", "--json").out) == {"keys": []}
    assert call("jwk", "list").out.startswith("There are no keys yet.")


@pytest.mark.parametrize(("alg", "kty"), [("ES256", "EC"), ("RS256", "RSA"), ("EdDSA", "OKP")])
def test_only_the_public_half_is_ever_printed(
    engine: Engine, call: Callable[..., Ran], alg: str, kty: str
) -> None:
    kid = made(call, "--alg", alg)
    entry = engine.vault.load(f"jwk/{kid}")
    private = json.loads(json.loads(entry.reveal())["private"])
    printed = "".join(call("jwk", *verb).out for verb in (["export"], ["list"], ["list", "--json"]))
    assert private["d"] not in printed
    (key,) = json.loads(call("jwk", "export", "--json").out)["keys"]
    assert (key["kid"], key["kty"], key["alg"], key["use"]) == (kid, kty, alg, "sig")
    assert not set(PRIVATE) & set(key)
    assert private["d"] not in "".join(engine.store.read(name) for name in engine.store.names("jwk"))


def test_a_key_that_a_newer_keyfob_made_is_named(engine: Engine, call: Callable[..., Ran]) -> None:
    kid = made(call)
    body = json.loads(engine.store.read(f"jwk/{kid}"))
    engine.store.write(f"jwk/{kid}", json.dumps(body | {"alg": "ML-DSA-65"}))
    ran = call("jwk", "list")
    assert (ran.code, ran.out) == (1, "")
    assert f"A newer Keyfob made the key {kid}" in ran.err


def test_a_new_key_is_current_and_the_old_one_stays(call: Callable[..., Ran]) -> None:
    old, new = made(call, "--provider", "okta"), made(call, "--provider", "okta")
    other = made(call)
    told = {key["kid"]: key for key in json.loads(call("jwk", "list", "--json").out)["keys"]}
    assert (told[old]["current"], told[new]["current"], told[other]["current"]) == (False, True, False)
    kids = {key["kid"] for key in json.loads(call("jwk", "export", "--provider", "okta").out)["keys"]}
    assert kids == {old, new}
    assert "okta (current)" in call("jwk", "list").out


def test_a_key_that_an_account_needs_is_removed_on_purpose_only(
    engine: Engine, call: Callable[..., Ran]
) -> None:
    kid = made(call, "--provider", "okta")
    record = a_record()
    pin = replace(record.account.pin, client_auth="private_key_jwt")
    record = replace(record, account=replace(record.account, pin=pin))
    engine.store.put(record)
    engine.vault.save(f"{record.account.key}/client", ClientSecrets(key_id=kid).sealed())
    refused = call("jwk", "remove", kid)
    assert (refused.code, refused.out) == (2, "")
    assert record.account.id in refused.last
    assert engine.vault.load(f"jwk/{kid}") is not None
    assert call("jwk", "remove", kid, "--force").out == f"Removed {kid}\n"
    assert engine.vault.load(f"jwk/{kid}") is None
    assert json.loads(call("jwk", "export").out) == {"keys": []}
    assert engine.store.read("jwk-of/okta") is None


def test_a_short_name_will_do_while_it_is_clear(call: Callable[..., Ran]) -> None:
    kid = made(call)
    assert call("jwk", "remove", kid[:6]).out == f"Removed {kid}\n"
    missing = call("jwk", "remove", kid, "--json")
    assert (missing.code, json.loads(missing.err)["code"]) == (7, "key_not_found")
    made(call)
    made(call)
    assert call("jwk", "remove", "").code == 7


def test_a_keychain_that_refuses_leaves_no_half_key(tmp_path: Path) -> None:
    class Locked(MemoryVault):
        def save(self, name: str, value: Secret) -> None:
            raise KeychainError("The keychain is locked", code="keychain_locked")

    locked = opens(build(fake_ports(tmp_path, vault=Locked())))
    assert run(["jwk", "generate"], locked).code == 4
    assert json.loads(run(["jwk", "list", "--json"], locked).out) == {"keys": []}


def test_the_client_metadata_document(call: Callable[..., Ran]) -> None:
    address = "https://example.org/keyfob.json"
    public = json.loads(call("client-metadata", "bluesky", "--client-id", address).out)
    assert public["client_id"] == address
    assert public["token_endpoint_auth_method"] == "none"
    assert public["dpop_bound_access_tokens"] is True
    assert all(uri.startswith("http://127.0.0.1") for uri in public["redirect_uris"])
    old, new = made(call, "--provider", "bluesky"), made(call, "--provider", "bluesky")
    ran = call(
        "client-metadata", "bluesky", "--client-id", address, "--redirect-uri", "https://example.org/cb"
    )
    confidential = json.loads(ran.out)
    assert confidential["token_endpoint_auth_method"] == "private_key_jwt"
    assert [key["kid"] for key in confidential["jwks"]["keys"]] == [new, old]
    assert not any(set(PRIVATE) & set(key) for key in confidential["jwks"]["keys"])
    assert confidential["redirect_uris"] == ["https://example.org/cb"]


def test_a_confidential_client_that_atproto_servers_would_refuse_is_not_printed(
    call: Callable[..., Ran],
) -> None:
    """A reference server answers: `Native clients must authenticate using "none" method`."""
    made(call, "--provider", "bluesky")
    ran = call("client-metadata", "bluesky", "--client-id", "https://example.org/keyfob.json")
    assert (ran.code, ran.out) == (2, "")
    assert "may not have a loopback redirect. For a public client, remove the provider's keys with" in ran.err

    assert "keyfob serve --public-url" in ran.err


def test_a_key_that_the_preset_does_not_use_yet_says_what_is_missing(call: Callable[..., Ran]) -> None:
    ran = call("jwk", "generate", "--provider", "gitlab", "--alg", "RS256")
    assert ran.code == 0
    assert 'set auth = "private_key_jwt" and alg = "RS256", in your own preset' in ran.err
    assert "public client" in call("jwk", "generate", "--provider", "bluesky").err
    assert "auth =" not in call("jwk", "generate").err


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["client-metadata", "bluesky"], 2),
        (["client-metadata", "bluesky", "--client-id", "not-an-address"], 2),
        (["client-metadata", "nosuch", "--client-id", "https://example.org/x.json"], 7),
        (["jwk", "generate", "--provider", "nosuch"], 7),
        (["jwk", "generate", "--alg", "HS256"], 2),
    ],
)
def test_what_does_not_fit_is_refused(call: Callable[..., Ran], argv: list[str], code: int) -> None:
    ran = call(*argv)
    assert (ran.code, ran.out) == (code, "")
