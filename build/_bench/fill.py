"""Puts accounts into a home as a sign-in would have left them. Run by
the benchmarks with Keyfob's own interpreter.

    fill.py ISSUER < {"accounts": [{"label", "left": seconds, "lifetime": seconds, "generation"}], "api": URL}

Only for homes that the benchmarks made: it writes the store and the keychain directly.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from keyfob.core.account import Account, Connected, Pin, Record
from keyfob.core.grant import Grant
from keyfob.core.provider import Endpoints, Server
from keyfob.core.renewal import jitter_of, renews_at
from keyfob.core.secret import Secret
from keyfob.engine import build, system_ports
from keyfob.service.accounts.grant_store import GrantStore

PRESET = """\
id = "bench"
title = "Bench"
tested = "software"
methods = ["oauth"]
scopes = ["openid", "profile"]
[policy]
client_id = "keyfob"
[client]
client_id = "bench"
auth = "none"
[endpoints]
authorization_endpoint = "{issuer}/authorize"
token_endpoint = "{issuer}/token"
userinfo_endpoint = "{issuer}/userinfo"
[lifetimes]
rotates = true
[api]
base = "{api}"
[identity]
source = "userinfo"
[identity.map]
subject = "sub"
[revocation]
style = "none"
"""


def main() -> None:
    issuer, told = sys.argv[1], json.load(sys.stdin)
    wanted, api = told["accounts"], told.get("api") or issuer
    engine = build(system_ports())
    folder = engine.home.config / "providers"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "bench.toml").write_text(PRESET.format(issuer=issuer, api=api), "utf-8")
    engine.providers.get("bench")
    grants = GrantStore(engine.vault)
    known = {record.account.label: record for record in engine.store.records()}
    endpoints = Endpoints(
        authorization_endpoint=f"{issuer}/authorize",
        token_endpoint=f"{issuer}/token",
        userinfo_endpoint=f"{issuer}/userinfo",
    )
    pin = Pin(Server(None, endpoints), client_id="bench", api_base=api)
    for each in wanted:
        label = each["label"]
        now = datetime.now(UTC)
        before = known.get(label)
        key = before.account.key if before else uuid4().hex
        expires = now + timedelta(seconds=each["left"])
        grant = Grant(
            access=Secret(f"a.{label}.0.".ljust(180, "x")),
            refresh=Secret(f"r.{label}.0"),
            obtained_at=expires - timedelta(seconds=each["lifetime"]),
            expires_at=expires,
            scopes=("openid", "profile"),
            generation=(before.generation if before else 0) + 1,
        )
        grants.save(key, grant)
        engine.store.put(
            Record(
                Account(
                    key,
                    "bench",
                    label,
                    "oauth",
                    f"subject-{label}",
                    pin,
                    asked_scopes=grant.scopes,
                    created_at=now,
                ),
                Connected(),
                generation=grant.generation,
                scopes=grant.scopes,
                obtained_at=grant.obtained_at,
                expires_at=expires,
                renews_at=renews_at(grant, timedelta(minutes=10), jitter_of(key)),
                renewable=True,
                connected_at=now,
            )
        )
    engine.close()


main()
