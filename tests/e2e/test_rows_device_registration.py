"""S-60 and S-61 through the whole engine: signing in by code, and
clients that a server registers on the spot.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.hostile import Behaviour, answer, hang_up
from support.misbehaving import METADATA, Misbehaving
from support.whole_engine import Whole

pytestmark = pytest.mark.network


def error(code: str) -> Behaviour:
    return answer(400, b'{"error":"%s"}' % code.encode())


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits that a sign-in makes, not waited for."""
    made: list[float] = []

    def pause(span: timedelta, cancel: threading.Event | None) -> None:
        made.append(span.total_seconds())

    monkeypatch.setattr("keyfob.service.runner.pause", pause)
    return made


# --- S-60 ---------------------------------------------------------------------------------------------------


@pytest.fixture
def device(tmp_path: Path, provider: Misbehaving, waits: list[float]) -> Iterator[Whole]:
    made = Whole(tmp_path, provider)
    file = made.home.config / "providers" / "here.toml"
    file.write_text(file.read_text().replace('methods = ["oauth"]', 'methods = ["device"]'))
    made.engine = made.another()
    provider.become("S-60")
    yield made
    made.engine.close()


def test_s_60_pending_then_there(device: Whole, waits: list[float]) -> None:
    device.provider.next("/token", error("authorization_pending"), error("authorization_pending"))
    assert device.connect().method == "device"
    assert waits == [7, 7, 7]


def test_s_60_slow_down_adds_five_seconds_each_time(device: Whole, waits: list[float]) -> None:
    device.provider.next("/token", error("slow_down"), error("authorization_pending"), error("slow_down"))
    device.connect()
    assert waits == [7, 12, 12, 17]


def test_s_60_no_interval_means_five_seconds(device: Whole, waits: list[float]) -> None:
    device.provider.become("S-60 no interval")
    device.connect()
    assert waits == [5]


@pytest.mark.parametrize(("code", "told"), [("expired_token", "code_expired"), ("access_denied", "declined")])
def test_s_60_expired_and_denied_end_it_and_nothing_more_is_asked(
    device: Whole, waits: list[float], code: str, told: str
) -> None:
    device.provider.next("/token", error(code))
    assert device.fails().code == told
    assert device.provider.paths() == [METADATA, "/device", "/token"]
    assert device.engine.accounts.views() == []


def test_s_60_a_network_that_fails_slows_it_down(device: Whole, waits: list[float]) -> None:
    device.provider.next("/token", hang_up, hang_up)
    device.connect()
    assert waits == sorted(waits)
    assert waits[-1] > 7


def test_s_60_a_device_sign_in_needs_no_id_token(device: Whole, waits: list[float]) -> None:
    """Core §3.1.3.3 binds the code flow: some servers give none here. Who it is, user information says."""
    device.provider.become("S-60 no ID token")
    view = device.connect()
    assert (view.subject, view.name) == ("subject-1", "Alice")
    assert device.renew() is None


def test_s_60_a_device_sign_in_that_is_not_kept_is_revoked(device: Whole, waits: list[float]) -> None:
    device.provider.next("/userinfo", answer(503, b"{}"))
    assert device.fails().exit_code == 5
    assert device.provider.live == {}


# --- S-61 ---------------------------------------------------------------------------------------------------


@pytest.fixture
def registers(tmp_path: Path, provider: Misbehaving) -> Iterator[Whole]:
    made = Whole(tmp_path, provider)
    file = made.home.config / "providers" / "here.toml"
    file.write_text(file.read_text().replace('client_id = "user"', 'client_id = "dynamic"'))
    made.engine = made.another()
    yield made
    made.engine.close()


def test_s_61_a_client_of_the_accounts_own_is_unregistered_with_it(registers: Whole) -> None:
    registers.provider.become("S-61")
    registers.connect(client_id=None)
    assert registers.engine.accounts.remove("here").revoked == "yes"
    assert registers.provider.paths()[-1] == "/register/app"
    assert registers.entries() == {}


@pytest.mark.parametrize("case", ["S-61 redirect", "S-61 auth"])
def test_s_61_what_the_server_changed_is_noticed(registers: Whole, case: str) -> None:
    registers.provider.become(case)
    assert registers.fails(client_id=None).code == "registration_changed"
    assert "browser" not in registers.stages
    assert registers.provider.paths() == [METADATA, "/register"]
    assert registers.entries() == {}


def test_s_61_fewer_scopes_are_asked_for_then(registers: Whole) -> None:
    registers.provider.become("S-61 scope")
    registers.connect(client_id=None)
    assert registers.authorization["scope"] == "openid"


def test_s_61_the_secrets_end_is_obeyed(registers: Whole) -> None:
    registers.provider.become("S-61 secret ends")
    view = registers.connect(client_id=None)
    assert view.grant_ends_at is not None
    assert timedelta(hours=23) < view.grant_ends_at - datetime.now(UTC) <= timedelta(hours=24)
    refused = answer(401, b'{"error":"invalid_client"}')
    registers.provider.next("/token", refused)
    assert registers.renew() is not None
    assert registers.engine.accounts.view("here").status == "connected"  # before that day, a server's mistake
    registers.engine.store.update(
        view.key,
        lambda row: type(row)(
            **{
                **{name: getattr(row, name) for name in row.__slots__},
                "grant_ends_at": datetime.now(UTC) - timedelta(seconds=1),
            }
        ),
    )
    registers.provider.next("/token", refused)
    assert registers.renew() is not None
    assert registers.engine.accounts.view("here").status == "needs_sign_in"
    again = registers.connect(account="here", client_id=None)
    assert again.status == "connected"
    assert registers.provider.count("/register") == 2
