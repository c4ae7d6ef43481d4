"""A confidential client that proves itself by a key, whole: made,
published, signed in with, renewed, rotated, removed.

Against npm's oidc-provider, with the `keyfob` command and a real keychain.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.oidc_provider import OidcProvider
from support.running import Ran
from support.session import DesktopSession
from support.workshop import Bench

pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.keychain]
PRESET = """\
id = "op"
title = "OP"
methods = ["oauth"]
issuer = "{issuer}"
discovery = "openid"
scopes = ["openid", "profile", "email", "offline_access"]
[client]
client_id = "signs"
auth = "private_key_jwt"
alg = "{alg}"
[redirect]
port = "any"
[api]
base = "{issuer}"
[identity]
source = "userinfo"
[identity.map]
subject = "sub"
[revocation]
style = "rfc7009"
"""
VISIT = """\
import sys, urllib.request
sys.path[:0] = {path!r}
from support.oidc_provider import Person
with Person("alice") as person:
    at = person.visit(sys.argv[1], until="http://127.0.0.1")
    while not at.startswith({redirect!r}) and "/callback?" not in at:
        at = person.visit(at, until="http://127.0.0.1")
    person.visit(at)
"""


@pytest.fixture
def server() -> Iterator[OidcProvider]:
    with OidcProvider(ACCESS_TTL="300") as made:
        yield made


@pytest.fixture
def bench(server: OidcProvider, tmp_path: Path) -> Iterator[Bench]:
    with DesktopSession() as session:
        made = Bench.at(tmp_path, session.env, server, server)  # type: ignore[arg-type]
        yield made


def set_up(bench: Bench, server: OidcProvider, alg: str) -> None:
    folder = bench.keyfob_home / "config" / "providers"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "op.toml").write_text(PRESET.format(issuer=server.issuer, alg=alg))


def publish(bench: Bench, server: OidcProvider, alg: str) -> list[dict[str, Any]]:
    """Hands the public keys to the server, as a person does with what `jwk export` printed."""
    keys: list[dict[str, Any]] = bench.keyfob("jwk", "export", "--provider", "op").json["keys"]
    server.add_client(
        client_id="signs",
        token_endpoint_auth_method="private_key_jwt",
        token_endpoint_auth_signing_alg=alg,
        jwks={"keys": keys},
    )
    return keys


def sign_in(bench: Bench, *words: str) -> Ran:
    script = bench.home.parent / "visit.py"
    here = Path(__file__).parents[1]
    script.write_text(VISIT.format(path=[str(here)], redirect="\0"))
    return bench.keyfob(*words, BROWSER=f"{sys.executable} {script} %s", PYTHONWARNINGS="default")


def secrets_of(text: str) -> set[str]:
    """The private members of any JWK in it."""
    return {name for name in ("d", "p", "q", "dp", "dq", "qi", "k") if f'"{name}"' in text}


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
def test_a_key_from_its_making_to_its_end(bench: Bench, server: OidcProvider, alg: str) -> None:
    set_up(bench, server, alg)
    assert bench.keyfob("jwk", "export").json == {"keys": []}
    without = sign_in(bench, "connect", "op", "--timeout", "20")
    assert (without.code, without.out) == (8, "")
    assert "keyfob jwk generate" in without.err

    first = bench.keyfob("jwk", "generate", "--alg", alg, "--provider", "op", "--json").json["kid"]
    exported = bench.keyfob("jwk", "export")
    assert secrets_of(exported.out) == set()
    (key,) = publish(bench, server, alg)
    assert (key["kid"], key["alg"], key["use"]) == (first, alg, "sig")

    connected = sign_in(bench, "connect", "op", "--label", "me", "--timeout", "40")
    assert connected.code == 0, connected.err
    assert bench.keyfob("renew", "op").code == 0
    refused = bench.keyfob("jwk", "remove", first)
    assert refused.code != 0, "an account still needs it"
    assert "op/me" in refused.err

    # Rotation: both are published; the account goes on with the old one until it signs in again.
    second = bench.keyfob("jwk", "generate", "--alg", alg, "--provider", "op", "--json").json["kid"]
    assert [each["kid"] for each in publish(bench, server, alg)] in ([first, second], [second, first])
    assert bench.keyfob("renew", "op").code == 0
    again = sign_in(bench, "reconnect", "op", "--timeout", "40")
    assert again.code == 0, again.err
    listed = {each["kid"]: each for each in bench.keyfob("jwk", "list", "--json").json["keys"]}
    assert (listed[first]["current"], listed[second]["current"]) == (False, True)
    assert listed[second]["accounts"] == ["op/me"]
    assert bench.keyfob("jwk", "remove", first).code == 0
    assert bench.keyfob("renew", "op").code == 0
    ended = bench.keyfob("disconnect", "op", "--json")
    assert ended.json["revoked"] == "yes"
    assert [each["kid"] for each in bench.keyfob("jwk", "export").json["keys"]] == [second]
    for path in bench.keyfob_home.rglob("*"):
        if path.is_file():
            assert b'"d":' not in path.read_bytes(), path
    assert json.loads(bench.keyfob("export").out)["accounts"][0]["client_id"] == "signs"
