"""`keyfob web-keys`, over a database of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import update

from keyfob.core.errors import SettingWrong
from keyfob.core.secret import Secret
from keyfob.engine import Engine, build
from keyfob.gateway.auth.tables import close_database, open_database
from keyfob.gateway.web.environment import CLIENT_KEYS, SECRETS
from keyfob.gateway.web.hosted import hosted, settings_of
from keyfob.gateway.web.tables import MIGRATIONS, SessionRow
from keyfob.service.sign_in.client_keys import WEB
from support.cli_run import opens, run
from support.fake_ports import fake_ports
from support.running import Ran

Call = Callable[..., Ran]
PUBLIC = "https://app.example.test"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("KEYFOB_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KEYFOB_DATABASE_URL", raising=False)
    (tmp_path / "home" / "data").mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{tmp_path / 'home' / 'data' / 'gateway.db'}"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    minutes = count()
    start = datetime.now(UTC) - timedelta(days=1)
    return build(fake_ports(tmp_path, clock=lambda: start + timedelta(minutes=next(minutes))))


@pytest.fixture
def call(database: str, engine: Engine) -> Call:
    return lambda *argv: run(argv, opens(engine), now=lambda: datetime.now(UTC))


def bind(database: str, kid: str) -> None:
    """A session that began with this key."""
    sessions = open_database(database, MIGRATIONS)
    now = datetime.now(UTC)
    row = SessionRow(
        session_id="a" * 64, subject="alice", app="bluesky", created_at=now, used_at=now, profile=b"",
        client_key=kid,
    )  # fmt: skip
    with sessions.begin() as session:
        session.add(row)
    close_database(sessions)


def end_all(database: str) -> None:
    sessions = open_database(database, MIGRATIONS)
    with sessions.begin() as session:
        session.execute(update(SessionRow).values(ended_at=datetime.now(UTC)))
    close_database(sessions)


def test_a_key_from_its_creation_to_its_end(call: Call, database: str) -> None:
    assert call("web-keys", "list").out.startswith("There are no keys yet")
    made = json.loads(call("web-keys", "new", "--json").out)
    assert (made["alg"], made["provider"], made["current"]) == ("ES256", WEB, True)
    later = call("web-keys", "new", "--alg", "EdDSA")
    assert later.out.startswith("Created ")
    bind(database, made["kid"])
    listed = json.loads(call("web-keys", "list", "--json").out)["keys"]
    assert [(key["alg"], key["sessions"]) for key in listed] == [("EdDSA", 0), ("ES256", 1)]
    assert "SESSIONS" in call("web-keys", "list").out
    refused = call("web-keys", "retire", made["kid"])
    assert refused.code == 2
    assert "1 session began with this key" in refused.err
    end_all(database)
    assert call("web-keys", "retire", made["kid"][:20]).out == f"Removed {made['kid']}\n"
    assert call("web-keys", "retire", made["kid"]).code == 7


def test_a_key_that_sessions_need_goes_by_force(call: Call, database: str) -> None:
    made = json.loads(call("web-keys", "new", "--json").out)
    bind(database, made["kid"])
    assert json.loads(call("web-keys", "retire", made["kid"], "--force", "--json").out)["kid"] == made["kid"]


def test_the_servers_keys_are_no_providers(call: Call) -> None:
    made = json.loads(call("web-keys", "new", "--json").out)
    assert json.loads(call("jwk", "list", "--json").out) == {"keys": []}
    assert json.loads(call("jwk", "export").out) == {"keys": []}
    assert call("jwk", "remove", made["kid"]).code == 7


def test_a_providers_key_is_not_the_servers(call: Call, engine: Engine) -> None:
    other = engine.client_keys.generate("ES256", "work")
    assert call("web-keys", "retire", other.kid).code == 7
    assert json.loads(call("web-keys", "list", "--json").out) == {"keys": []}


class TestHosted:
    def test_the_keychain_has_the_keys(self, engine: Engine, database: str) -> None:
        first = engine.client_keys.generate("ES256", WEB)
        with_it = hosted(engine, database, PUBLIC, {}, {})
        again = hosted(engine, database, PUBLIC, {}, {})
        try:
            assert [key.kid for key in with_it.client_keys.keys] == [first.kid]
            cookie = with_it.cookies.setting("__Host-x", "id", 60).partition(";")[0]
            found = again.cookies.read(cookie, "__Host-x")
            assert found is not None
            document = with_it.client_metadata()
            assert document["token_endpoint_auth_method"] == "private_key_jwt"
        finally:
            with_it.close()
            again.close()

    def test_or_the_environment(self, engine: Engine, database: str) -> None:
        environment = {SECRETS: "x" * 40 + ", " + "y" * 40, CLIENT_KEYS: '{"keys": []}'}
        web = hosted(engine, database, PUBLIC, {}, environment)
        try:
            assert [len(key) for key in web.settings.keys] == [40, 40]
            assert web.jwks() == {"keys": []}
            assert engine.vault.names() in (None, [], ())
        finally:
            web.close()

    @pytest.mark.parametrize(
        "config",
        [
            {"nothing": 1}, {"apps": {}}, {"apps": ["bluesky"]}, {"apps": [{}]},
            {"apps": [{"provider": "x", "y": 1}]},
            {"apps": [{"provider": "x", "scopes": "a"}]}, {"apps": [{"provider": "x", "client_auth": "y"}]},
            {"apps": [{"provider": "x", "inputs": []}]}, {"client_name": 1}, {"home": "//evil.test"},
        ],
    )  # fmt: skip
    def test_a_file_that_says_something_else(self, config: dict[str, object]) -> None:
        with pytest.raises(SettingWrong):
            settings_of(PUBLIC, config, [Secret("x" * 40)])

    def test_a_whole_file(self) -> None:
        config = {
            "client_name": "My App",
            "prefix": "/auth",
            "apps": [
                {"provider": "bluesky"},
                {
                    "provider": "oidc",
                    "name": "work",
                    "client_id": "a",
                    "client_secret": "b",
                    "inputs": {"issuer": "c"},
                },
            ],
        }
        settings = settings_of(PUBLIC, config, [Secret("x" * 40)])
        assert (settings.home, settings.client_name) == ("/auth", "My App")
        assert [app.id for app in settings.apps] == ["bluesky", "work"]
        assert settings.app("work").inputs == {"issuer": "c"}  # type: ignore[union-attr]
