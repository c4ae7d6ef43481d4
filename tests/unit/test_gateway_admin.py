"""Administration over HTTP: what each operation does, and the walls between tenants."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest

from keyfob.engine import Engine
from keyfob.gateway.admin.operations import OPERATIONS
from support.gateway_server import Client, GatewayServer
from support.sample_engine import sample_engine
from support.samples import sample_views

pytestmark = pytest.mark.network
MINE = sample_views()[0].id  # an account of the server's own
ACMES = "github/acme-bot"


@pytest.fixture
def engines(tmp_path: Path) -> dict[str | None, Engine]:
    of_acme = replace(
        next(view for view in sample_views() if view.provider == "github"), label="acme-bot", id=ACMES
    )
    return {
        None: sample_engine(tmp_path / "own"),
        "acme": sample_engine(tmp_path / "acme", [of_acme]),
        "rival": sample_engine(tmp_path / "rival", []),
    }


@pytest.fixture
def server(tmp_path: Path, engines: dict[str | None, Engine]) -> Iterator[GatewayServer]:
    with GatewayServer(tmp_path, engines) as running:
        yield running


@pytest.fixture
def root(server: GatewayServer) -> Client:
    return Client(server, server.key("root", admin=True))


@pytest.fixture
def acme(server: GatewayServer) -> Client:
    return Client(server, server.key("ann", "acme", admin=True))


@pytest.fixture
def rival(server: GatewayServer) -> Client:
    return Client(server, server.key("rob", "rival", admin=True))


def lets_in(server: GatewayServer, key: str) -> bool:
    """A known caller learns that it may not, another one nothing."""
    return Client(server, key).send("GET", "keys").status_code == 403


def test_a_key_from_its_creation_to_its_end(server: GatewayServer, root: Client) -> None:
    made = root.post(
        "keys", user_id="alice", name="laptop", expires_at="2999-01-31T00:00:00Z", scopes=["read"]
    )
    assert re.fullmatch(r"sk-[a-z0-9]{12}-[0-9a-f]{32}", made["key"])
    assert lets_in(server, made["key"])
    shown = root.get(f"keys/{made['key_id']}")
    assert (shown["user_id"], shown["name"], shown["scopes"]) == ("alice", "laptop", ["read"])
    assert made["key"] not in json.dumps(root.get("keys"))
    new = root.post(f"keys/{made['key_id']}/rotate", overlap_seconds=60)
    assert root.get(f"keys/{made['key_id']}")["replaced_by"] == new["key_id"]
    assert root.post(f"keys/{new['key_id']}/revoke")["state"] == "revoked"
    assert [row["key_id"] for row in root.get("keys", user_id="alice")["keys"]] == [made["key_id"]]
    assert len(root.get("keys", user_id="alice", all="true")["keys"]) == 2


def test_a_grant_from_its_creation_to_its_end(server: GatewayServer, root: Client) -> None:
    made = root.post("grants", account=MINE, methods=["read"], paths=["/user"], name="bot", per_hour=7)
    assert (made["path"], made["methods"]) == (f"/{MINE}", ["GET", "HEAD", "OPTIONS"])
    assert lets_in(server, made["key"])
    assert root.get(f"grants/{made['grant_id']}")["per_hour"] == 7
    assert [row["grant_id"] for row in root.get("grants")["grants"]] == [made["grant_id"]]
    assert root.post(f"grants/{made['grant_id']}/end")["state"] == "ended"
    assert root.get("grants") == {"grants": []}
    assert "key" not in root.post("grants", **{"account": MINE, "for": "user:alice"})


def test_s66_no_grant_without_a_key_from_afar(root: Client, acme: Client) -> None:
    for admin, account in ((root, MINE), (acme, ACMES)):
        refused = admin.send("POST", "grants", {"account": account, "for": "local"})
        assert (refused.status_code, "on the server alone" in refused.json()["detail"]) == (400, True)
        assert admin.get("grants") == {"grants": []}


def test_a_user_from_the_start_to_the_end(root: Client) -> None:
    assert root.post("users", user_id="alice", password="correct horse")["state"] == "active"
    assert root.post("users/alice/password", password="battery staple")["user_id"] == "alice"
    assert root.post("users/alice/disable")["state"] == "disabled"
    assert [row["state"] for row in root.get("users")["users"]] == ["disabled"]
    short = root.send("POST", "users", {"user_id": "bob", "password": "x"})
    assert (short.status_code, short.json()["code"]) == (400, "usage")


def test_accounts_are_shown_without_secrets_and_disconnected(root: Client) -> None:
    listed = root.send("GET", "accounts")
    assert MINE in [row["id"] for row in listed.json()["accounts"]]
    assert "canary" not in listed.text
    assert root.get(f"accounts/{MINE}")["status"] == "connected"
    ended = root.post(f"accounts/{MINE}/disconnect")
    assert ended["account"]["status"] == "disconnected"


def test_the_audit_trail_names_the_administrator(server: GatewayServer, root: Client, acme: Client) -> None:
    made = acme.post("keys", user_id="alice")
    root.post("users", user_id="bob", password="correct horse")
    with server.sessions.begin() as session:
        from keyfob.gateway.auth.administration import add_user

        add_user(session, "carol", "correct horse")
    rows = {row["user_id"]: row for row in root.get("audit")["events"]}
    assert (rows["alice"]["by"], rows["alice"]["key_id"]) == ("user:ann", made["key_id"])
    assert (rows["bob"]["by"], rows["carol"]["by"]) == ("user:root", None)
    assert root.get("audit", kind="user_added", limit=1)["events"] == [rows["carol"]]
    assert root.get("audit", since="2999-01-01T00:00:00Z") == {"events": []}


def test_only_administrators(server: GatewayServer) -> None:
    for key in (server.key("alice"), server.key("alice", "acme")):
        for one in OPERATIONS:
            path = re.sub(r"{\w+}", "x", one.path.removeprefix("/v1/admin/"))
            refused = Client(server, key).send(one.method, path)
            assert (refused.status_code, refused.json()["code"]) == (403, "not_granted"), one.name
    assert Client(server, "sk-aaaaaaaaaaaa-" + "0" * 32).send("GET", "keys").status_code == 401


def test_s66_a_tenants_administrator_sees_and_makes_what_is_the_tenants(acme: Client) -> None:
    key = acme.post("keys", user_id="alice", is_admin=True)
    assert key["tenant_id"] == "acme", "an administrator without a tenant would be one of the server"
    assert acme.post("users", user_id="alice", password="correct horse")["user_id"] == "acme/alice"
    assert acme.post("users/acme%2Falice/disable")["tenant_id"] == "acme"
    grant = acme.post("grants", account=ACMES)
    assert (grant["tenant_id"], grant["account_tenant"]) == ("acme", "acme")
    assert [row["id"] for row in acme.get("accounts")["accounts"]] == [ACMES]
    assert {row["tenant_id"] for row in acme.get("audit")["events"]} == {"acme"}


def test_s66_what_is_anothers_does_not_exist(root: Client, acme: Client, rival: Client) -> None:
    """The answer for another tenant's is, but for the name in it, the answer for nobody's."""
    key, servers_key = acme.post("keys", user_id="alice"), root.post("keys", user_id="alice")
    grant, servers_grant = acme.post("grants", account=ACMES), root.post("grants", account=MINE)
    acme.post("users", user_id="alice", password="correct horse")
    root.post("users", user_id="bob", password="correct horse")
    root.post("users", user_id="carol", password="correct horse", tenant_id="acme")
    unknown = {"keys": "a" * 12, "grants": "0" * 12, "users": "nobody", "accounts": "github/nobody"}
    known = {
        "keys": [key["key_id"], servers_key["key_id"]],
        "grants": [grant["grant_id"], servers_grant["grant_id"]],
        "users": ["acme/alice", "bob", "carol"],
        "accounts": [ACMES, MINE],
    }
    asked = 0
    for one in OPERATIONS:
        kind = one.path.split("/")[3]
        if not one.path_fields:
            continue
        rest = (
            one.path.removeprefix(f"/v1/admin/{kind}/")
            .replace("{provider}/{label}", "{id}")
            .partition("/")[2]
        )
        body = {"password": "correct horse"} if rest == "password" else None
        for name in known[kind]:
            answers = [
                rival.send(one.method, "/".join(filter(None, [kind, escaped(each, kind), rest])), body)
                for each in (name, unknown[kind])
            ]
            assert answers[0].status_code == 404, (one.name, name)
            there, nowhere = (
                (answer.text.replace(each, "…"), sorted(answer.headers))
                for answer, each in zip(answers, (name, unknown[kind]))
            )
            assert there == nowhere
            asked += 1
    assert asked > 20
    assert [len(*rival.get(kind, **all_of(kind)).values()) for kind in ("grants", "users", "accounts")] == [
        0,
        0,
        0,
    ]
    assert [row["user_id"] for row in rival.get("keys", all="true")["keys"]] == ["rob"]
    assert {row["tenant_id"] for row in rival.get("audit")["events"]} == {"rival"}
    assert rival.get("audit", key_id=key["key_id"]) == {"events": []}
    assert rival.post("users", user_id="alice", password="correct horse")["user_id"] == "rival/alice"


def escaped(name: str, kind: str) -> str:
    return name if kind == "accounts" else quote(name, safe="")


def all_of(kind: str) -> dict[str, str]:
    return {"all": "true"} if kind == "grants" else {}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("keys", {"user_id": "x", "tenant_id": "rival"}),
        ("keys", {"user_id": "x", "tenant_id": "nobody"}),
        ("users", {"user_id": "x", "password": "correct horse", "tenant_id": "rival"}),
        ("users", {"user_id": "rival/x", "password": "correct horse", "tenant_id": "rival"}),
        ("grants", {"account": ACMES, "tenant_id": "rival"}),
        ("grants", {"account": ACMES, "account_tenant": "rival"}),
        ("grants", {"account": ACMES, "for": "tenant:rival"}),
        ("grants", {"account": MINE}),
        ("accounts", {"handover": {}, "tenant_id": "rival"}),
    ],
)
def test_s66_a_tenants_administrator_makes_nothing_elsewhere(
    acme: Client, root: Client, path: str, body: dict[str, Any]
) -> None:
    before = len(root.get("audit", limit=1000)["events"])
    assert acme.send("POST", path, body).status_code in (400, 404)
    assert len(root.get("audit", limit=1000)["events"]) == before


def test_s66_a_name_of_anothers_user_does_not_open_their_grant(
    server: GatewayServer, root: Client, acme: Client
) -> None:
    root.post("grants", **{"account": MINE, "for": "user:bob"})
    of_acme = acme.post("keys", user_id="bob")["key"]
    servers_own = root.post("keys", user_id="bob")["key"]
    get = lambda key: Client(server, key).send("GET", f"../../{MINE}/user").json()["code"]  # noqa: E731
    assert get(of_acme) == "not_granted"
    assert get(servers_own) != "not_granted"


def test_s71_bodies_and_queries_are_read_strictly(root: Client) -> None:
    for path, body, named in (
        ("keys", {"user_id": "x", "admin": True}, "'admin'"),
        ("keys", {}, "user_id is missing"),
        ("keys", {"user_id": 7}, "user_id needs text"),
        ("keys", {"user_id": ""}, "user_id needs 1"),
        ("keys", {"user_id": "x" * 256}, "user_id needs 1"),
        ("keys", {"user_id": "x\ny"}, "user_id has characters"),
        ("keys", {"user_id": "x", "is_admin": "yes"}, "is_admin"),
        ("keys", {"user_id": "x", "expires_at": "tomorrow"}, "expires_at"),
        ("keys", {"user_id": "x", "scopes": "read"}, "scopes"),
        ("grants", {"account": MINE, "per_hour": 0}, "per_hour"),
        ("grants", {"account": MINE, "per_hour": True}, "per_hour"),
        ("grants", {"account": MINE, "methods": ["FETCH"]}, "FETCH"),
        ("accounts", {"handover": []}, "handover"),
        ("accounts", {"handover": {"v": 1, "x": 2}}, "'x'"),
        ("accounts", {"handover": {"v": 1, "id": "i" * 16, "record": {}, "grant": "x"}}, "cannot be read"),
    ):
        answer = root.send("POST", path, body)
        assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
        assert named in answer.json()["detail"], answer.text
    for text, status in (
        ("{", 400), ("[]", 400), ('{"user_id": "a", "user_id": "b"}', 400), ('{"user_id": NaN}', 400),
        ("[" * 30_000, 400), ('{"user_id": "' + "x" * 70_000 + '"}', 413),
    ):  # fmt: skip
        headers = {"Content-Type": "application/json"}
        assert root.send("POST", "keys", content=text, headers=headers).status_code == status, text[:20]
    assert root.send("POST", "keys", content="user_id=x").status_code == 415
    gzip = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert root.send("POST", "keys", content=b"\x1f\x8b", headers=gzip).status_code == 415
    assert root.send("GET", "keys?user=x").status_code == 400
    assert root.send("GET", "keys?all=1").status_code == 400
    assert root.send("GET", "keys?all=true&all=true").status_code == 400
    assert root.send("POST", "keys?user_id=x", {"user_id": "x"}).status_code == 400
    assert root.send("GET", "keys", {"user_id": "x"}).status_code == 400
    assert root.send("GET", "nothing").status_code == 404
    wrong = root.send("DELETE", "keys")
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, POST")


def test_the_openapi_document_is_what_the_server_does(root: Client) -> None:
    """Each operation of the document answers as the document says."""
    document = root.get("openapi.json")
    stored = {}

    def check(operation: str, path: str, body: dict[str, Any] | None = None) -> None:
        method, template = next(
            (method, template)
            for template, methods in document["paths"].items()
            for method, each in methods.items()
            if each["operationId"] == operation
        )
        assert re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), f"/v1/admin/{path}"), operation
        described = document["paths"][template][method]
        if body is not None:
            asked = described["requestBody"]["content"]["application/json"]["schema"]
            jsonschema.validate(body, asked)
        answer = root.send(method.upper(), path, body)
        assert str(answer.status_code) in described["responses"], answer.text
        schema = described["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json(), {**schema, "components": document["components"]})
        stored[operation] = answer.json()

    check("keys.create", "keys", {"user_id": "alice", "expires_at": "2999-01-01T00:00:00Z"})
    key = stored["keys.create"]["key_id"]
    check("keys.list", "keys")
    check("keys.show", f"keys/{key}")
    check("keys.rotate", f"keys/{key}/rotate", {"overlap_seconds": 0})
    check("keys.revoke", f"keys/{stored['keys.rotate']['key_id']}/revoke")
    check("grants.create", "grants", {"account": MINE, "methods": ["read"], "name": "bot"})
    grant = stored["grants.create"]["grant_id"]
    check("grants.list", "grants")
    check("grants.show", f"grants/{grant}")
    check("grants.end", f"grants/{grant}/end")
    check("users.add", "users", {"user_id": "alice", "password": "correct horse"})
    check("users.list", "users")
    check("users.show", "users/alice")
    check("users.password", "users/alice/password", {"password": "battery staple"})
    check("users.disable", "users/alice/disable")
    check("audit.list", "audit")
    assert len(stored["audit.list"]["events"]) > 5
    check("accounts.list", "accounts")
    check("accounts.show", f"accounts/{MINE}")
    check("accounts.disconnect", f"accounts/{MINE}/disconnect")
    described = {each["operationId"] for methods in document["paths"].values() for each in methods.values()}
    assert described - set(stored) == {"accounts.keep"}, "which test_connect_to_a_server plays"
    refused = root.send("POST", "keys", {})
    jsonschema.validate(refused.json(), document["components"]["schemas"]["Problem"])
