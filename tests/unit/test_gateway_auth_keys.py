"""Keys of callers: one key, static files, and keys in a database."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from keyfob.core.errors import NotFound, Transient
from keyfob.gateway.auth import AuthProvider, AuthResult, AuthSettingError, create_auth_provider
from keyfob.gateway.auth.database import DatabaseAPIKeyAuth
from keyfob.gateway.auth.static import LOOK_AGAIN, hashed
from keyfob.gateway.auth.tables import ApiKey, AuditEvent, close_database, open_database

KEY = "sk-abcdefghijkl-" + "0123456789abcdef" * 2
LINE = "{key}: {{user_id: alice, tenant_id: acme, is_admin: true, scopes: [read], metadata: {{team: tools}}}}"


def ask(provider: AuthProvider | None, token: str) -> AuthResult:
    assert provider is not None
    return asyncio.run(provider.authenticate(token))


def valid(provider: AuthProvider | None, token: str) -> bool:
    assert provider is not None
    return asyncio.run(provider.validate_token(token))


class TestOneKey:
    def test_the_key_has_no_identity(self) -> None:
        provider = create_auth_provider("api_key", api_key=KEY)
        assert ask(provider, KEY) == AuthResult(authenticated=True)
        assert valid(provider, KEY)

    @pytest.mark.parametrize("wrong", ["", KEY[:-1], KEY + "0", KEY.upper(), " " + KEY, "\udcff" * 48])
    def test_s66_nothing_else_is_taken(self, wrong: str) -> None:
        provider = create_auth_provider("api_key", api_key=KEY)
        assert not ask(provider, wrong).authenticated
        assert not valid(provider, wrong)

    def test_a_short_key_is_refused(self) -> None:
        with pytest.raises(AuthSettingError, match="too short"):
            create_auth_provider("api_key", api_key="sk-1")


class TestStatic:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        file = tmp_path / "keys.yaml"
        file.write_text(f"api_keys:\n  {LINE.format(key=KEY)}\n")
        file.chmod(0o600)
        return file

    def test_a_file(self, file: Path) -> None:
        found = ask(create_auth_provider("static", {"file": str(file)}), KEY)
        assert found.authenticated
        assert (found.user_id, found.tenant_id, found.is_admin) == ("alice", "acme", True)
        assert (found.scopes, found.metadata, found.subject_id) == (("read",), {"team": "tools"}, "alice")

    def test_a_dict_and_a_hash(self) -> None:
        keys = {hashed(KEY): {"user_id": "alice", "expires_at": "2999-01-01T00:00:00Z"}}
        provider = create_auth_provider("static", {"api_keys": keys})
        assert ask(provider, KEY).user_id == "alice"
        assert not ask(provider, hashed(KEY)).authenticated, "a stolen file gives no key"

    def test_an_expired_key(self) -> None:
        past = {KEY: {"user_id": "alice", "expires_at": datetime(2020, 1, 1, tzinfo=UTC)}}
        assert not ask(create_auth_provider("static", {"api_keys": past}), KEY).authenticated

    def test_the_file_is_read_again_when_it_changes(self, file: Path) -> None:
        provider = create_auth_provider("static", {"file": str(file)})
        other = KEY[:-1] + "0"
        assert not ask(provider, other).authenticated
        file.write_text(f"api_keys:\n  {LINE.format(key=other)}\n")

        async def until() -> bool:
            assert provider is not None
            for _ in range(50):
                await asyncio.sleep(LOOK_AGAIN / 5)
                if (await provider.authenticate(other)).authenticated:
                    return True
            return False

        assert asyncio.run(until())
        assert not ask(provider, KEY).authenticated

    def test_a_changed_file_that_is_wrong_leaves_the_old_keys(
        self, file: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        provider = create_auth_provider("static", {"file": str(file)})
        file.write_text("api_keys: [")

        async def later() -> AuthResult:
            assert provider is not None
            await asyncio.sleep(LOOK_AGAIN * 1.2)
            return await provider.authenticate(KEY)

        with caplog.at_level(logging.ERROR):
            assert asyncio.run(later()).authenticated
        assert "is not YAML, line 2" in caplog.text or "is not YAML, line 1" in caplog.text
        caplog.clear()

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
    def test_others_must_not_read_it(self, file: Path, mode: int) -> None:
        file.chmod(mode)
        with pytest.raises(AuthSettingError, match="Other users can read") as raised:
            create_auth_provider("static", {"file": str(file)})
        assert raised.value.remedy == f"Run: chmod 600 {file}"

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ({"user_id": 7}, "user_id is not text"),
            ({"is_admin": "yes"}, "is_admin"),
            ({"admin": True}, "unknown field admin"),
            ({"scopes": "read"}, "scopes"),
            ({"expires_at": "soon"}, "expires_at"),
            ({"subject_type": "robot"}, "subject_type"),
            ("alice", "expected a mapping"),
        ],
    )
    def test_a_wrong_entry_is_named_without_its_key(self, words: object, says: str) -> None:
        with pytest.raises(AuthSettingError, match=says) as raised:
            create_auth_provider("static", {"api_keys": {KEY: words}})
        assert KEY not in str(raised.value)


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    found = open_database(f"sqlite:///{tmp_path / 'gateway.db'}")
    yield found
    close_database(found)


def made(sessions: sessionmaker[Session], **words: object) -> tuple[str, str]:
    with sessions.begin() as session:
        return DatabaseAPIKeyAuth.create_key(session, "alice", "laptop", **words)  # type: ignore[arg-type]


class TestDatabase:
    def test_a_key_and_who_it_is(self, sessions: sessionmaker[Session]) -> None:
        key_id, raw = made(
            sessions, tenant_id="acme", is_admin=True, scopes=("read",), metadata={"team": "t"}
        )
        assert re.fullmatch(r"sk-[a-z0-9]{12}-[0-9a-f]{32}", raw)
        assert raw.split("-")[1] == key_id
        provider = create_auth_provider("database", session_factory=sessions)
        found = ask(provider, raw)
        assert (found.authenticated, found.user_id, found.tenant_id) == (True, "alice", "acme")
        assert (found.is_admin, found.scopes, found.metadata, found.key_id) == (
            True,
            ("read",),
            {"team": "t"},
            key_id,
        )
        assert valid(provider, raw)

    def test_without_sessions_it_says_so(self) -> None:
        with pytest.raises(ValueError, match=r"^session_factory is required for database authentication$"):
            create_auth_provider("database")

    def test_s66_wrong_keys(self, sessions: sessionmaker[Session]) -> None:
        _, raw = made(sessions)
        provider = create_auth_provider("database", session_factory=sessions)
        last = "0" if raw[-1] != "0" else "1"
        for wrong in (
            "",
            raw[:-1],
            raw[:-1] + last,
            raw.upper(),
            raw + "0",
            "sk-nobody-" + "0" * 32,
            "' OR 1=1 --",
        ):
            assert not ask(provider, wrong).authenticated
            assert not valid(provider, wrong)

    def test_an_expired_key(self, sessions: sessionmaker[Session]) -> None:
        _, raw = made(sessions, expires_at=datetime.now(UTC) - timedelta(seconds=1))
        assert not ask(create_auth_provider("database", session_factory=sessions), raw).authenticated

    def test_a_key_expires_while_it_is_known(self, sessions: sessionmaker[Session]) -> None:
        now = datetime.now(UTC)
        _, raw = made(sessions, expires_at=now + timedelta(hours=1))
        clock = [now]
        provider = DatabaseAPIKeyAuth(sessions, clock=lambda: clock[0])
        assert ask(provider, raw).authenticated
        clock[0] = now + timedelta(hours=1)
        assert not ask(provider, raw).authenticated

    def test_s66_a_revoked_key_ends_within_a_second_in_every_process(
        self, sessions: sessionmaker[Session]
    ) -> None:
        key_id, raw = made(sessions)
        provider = create_auth_provider("database", session_factory=sessions)

        async def run() -> bool:
            assert provider is not None
            assert (await provider.authenticate(raw)).authenticated
            with sessions.begin() as session:
                DatabaseAPIKeyAuth.revoke_key(session, key_id)
            await asyncio.sleep(1)
            return (await provider.authenticate(raw)).authenticated

        assert not asyncio.run(run())
        with sessions.begin() as session:
            DatabaseAPIKeyAuth.revoke_key(session, key_id)  # again: nothing happens

    def test_rotation_overlaps(self, sessions: sessionmaker[Session]) -> None:
        key_id, raw = made(sessions, tenant_id="acme", scopes=("read",))
        with sessions.begin() as session:
            new_id, new_raw = DatabaseAPIKeyAuth.rotate_key(session, key_id, overlap=timedelta(hours=1))
        now = datetime.now(UTC)
        clock = [now]
        provider = DatabaseAPIKeyAuth(sessions, clock=lambda: clock[0])
        assert ask(provider, raw).authenticated
        assert ask(provider, new_raw).scopes == ("read",)
        assert ask(provider, new_raw).key_id == new_id
        clock[0] = now + timedelta(hours=2)
        assert not ask(provider, raw).authenticated
        assert ask(provider, new_raw).authenticated
        with sessions.begin() as session:
            DatabaseAPIKeyAuth.revoke_key(session, key_id)
            with pytest.raises(NotFound):
                DatabaseAPIKeyAuth.rotate_key(session, key_id)

    def test_tenants_are_walls(self, sessions: sessionmaker[Session]) -> None:
        key_id, _ = made(sessions, tenant_id="acme")
        with sessions.begin() as session:
            with pytest.raises(NotFound) as other:
                DatabaseAPIKeyAuth.revoke_key(session, key_id, tenant_id="rival")
            with pytest.raises(NotFound) as none:
                DatabaseAPIKeyAuth.revoke_key(session, "nothing", tenant_id="rival")
        assert str(other.value) == str(none.value)

    def test_uses_and_refusals_are_written_together(self, sessions: sessionmaker[Session]) -> None:
        key_id, raw = made(sessions)
        provider = create_auth_provider("database", session_factory=sessions)
        assert provider is not None
        for _ in range(5):
            ask(provider, raw)
        ask(provider, "nothing")
        with sessions() as session:
            assert session.get_one(ApiKey, key_id).last_used_at is None, "no request writes"
        provider.close()
        with sessions() as session:
            assert session.get_one(ApiKey, key_id).last_used_at is not None
            rows = session.scalars(select(AuditEvent).order_by(AuditEvent.id)).all()
        kinds = [(row.kind, row.key_id, row.count, row.detail) for row in rows]
        assert kinds == [
            ("created", key_id, 1, None),
            ("used", key_id, 5, None),
            ("refused", None, 1, "not_a_key"),
        ]

    def test_s76_a_stolen_file_has_no_key(self, sessions: sessionmaker[Session], tmp_path: Path) -> None:
        _, raw = made(sessions)
        ask(create_auth_provider("database", session_factory=sessions), raw)
        with closing(sqlite3.connect(tmp_path / "gateway.db")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        secret = raw.rsplit("-", 1)[1]
        for file in tmp_path.iterdir():
            body = file.read_bytes()
            assert secret.encode() not in body
            assert bytes.fromhex(secret) not in body

    def test_s66_no_key_in_the_log(
        self, sessions: sessionmaker[Session], caplog: pytest.LogCaptureFixture
    ) -> None:
        key_id, raw = made(sessions, expires_at=datetime.now(UTC) - timedelta(seconds=1))
        with caplog.at_level(logging.DEBUG):
            ask(create_auth_provider("database", session_factory=sessions), raw)
            ask(create_auth_provider("database", session_factory=sessions), f"{raw}\nforged line")
        assert f"Refused {key_id}: expired" in caplog.text
        assert raw.rsplit("-", 1)[1] not in caplog.text
        assert "forged" not in caplog.text

    def test_a_database_that_fails_is_no_refusal(
        self, sessions: sessionmaker[Session], tmp_path: Path
    ) -> None:
        file = tmp_path / "gateway.db"
        _, raw = made(sessions)
        provider = create_auth_provider("database", session_factory=sessions)
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("DROP TABLE gateway_api_keys")
        with pytest.raises(Transient):
            ask(provider, raw)

    @pytest.mark.parametrize("url", ["nonsense", "mysql://host/name", ""])
    def test_a_wrong_address(self, url: str) -> None:
        with pytest.raises(AuthSettingError):
            open_database(url)

    def test_a_file_that_cannot_be_opened(self, tmp_path: Path) -> None:
        with pytest.raises(Transient, match="cannot be used"):
            open_database(f"sqlite:///{tmp_path / 'missing' / 'gateway.db'}")

    def test_a_wrong_word(self, sessions: sessionmaker[Session]) -> None:
        for words in ({"tenant_id": ""}, {"expires_at": datetime(2030, 1, 1)}, {"subject_type": "robot"}):
            with pytest.raises(AuthSettingError):
                made(sessions, **words)


def test_no_type_asks_nobody_and_an_unknown_one_is_named() -> None:
    assert create_auth_provider(None) is None
    with pytest.raises(ValueError, match="Unknown auth_type magic"):
        create_auth_provider("magic")
    with pytest.raises(AuthSettingError, match="unknown field colour"):
        create_auth_provider("api_key", {"api_key": KEY, "colour": "red"})
