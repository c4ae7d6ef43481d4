"""What a server takes over of a sign-in that ran on another computer, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from keyfob.adapters.store import codec
from keyfob.core.account import Pin, Record
from keyfob.core.errors import KeychainError, SettingWrong, Usage
from keyfob.core.grant import seal
from keyfob.core.secret import Secret
from keyfob.engine import Engine
from keyfob.service.accounts.grant_store import GrantStore
from keyfob.service.contexts import ClientSecrets
from support.sample_engine import grant_of, record_of, sample_engine
from support.samples import sample_views

VIEW = next(view for view in sample_views() if view.status == "connected" and view.method == "oauth")


@pytest.fixture
def server(tmp_path: Path) -> Engine:
    return sample_engine(tmp_path, [])


def handed(
    server: Engine, change: Callable[[Record], Record] = lambda record: record, **fields: Any
) -> dict[str, Any]:
    record = change(record_of(VIEW, server.providers.get(VIEW.provider)))
    return {
        "v": 1,
        "id": "handover-number-1",
        "label": None,
        "record": json.loads(codec.description(record)),
        "grant": seal(
            replace(grant_of(VIEW), access=Secret("at-handed"), refresh=Secret("rt-handed"))
        ).reveal(),
        "client": None,
        **fields,
    }


def pinned(**changes: Any) -> Callable[[Record], Record]:
    """With another pin."""

    def change(record: Record) -> Record:
        pin: Pin = replace(record.account.pin, **changes)
        return replace(record, account=replace(record.account, pin=pin))

    return change


def endpoint(url: str) -> Callable[[Record], Record]:
    def change(record: Record) -> Record:
        server = record.account.pin.server
        ends = replace(server.endpoints, introspection_endpoint=url)
        return pinned(server=replace(server, endpoints=ends))(record)

    return change


def test_the_account_is_kept_under_a_key_of_the_servers_own(server: Engine) -> None:
    view = server.take_over.keep(
        handed(server, client=ClientSecrets(Secret("cs")).sealed().reveal()), trusted=False
    )
    assert (view.id, view.status, view.subject) == (VIEW.id, "connected", VIEW.subject)
    (record,) = server.store.records()
    assert record.account.key != VIEW.key
    grant = GrantStore(server.vault).newest_or_none(record.account.key)
    assert grant is not None
    assert (grant.grant.access.reveal(), grant.grant.generation) == ("at-handed", 1)
    client = server.vault.load(f"{record.account.key}/client")
    assert client is not None
    assert ClientSecrets.unsealed(client).secret == Secret("cs")
    assert server.store.names("attempt/") == []


def test_again_with_the_same_id_does_nothing(server: Engine) -> None:
    first = server.take_over.keep(handed(server), trusted=False)
    before = server.store.records()
    newer = replace(grant_of(VIEW), access=Secret("at-renewed"), generation=2)
    GrantStore(server.vault).save(before[0].account.key, newer)
    assert server.take_over.keep(handed(server), trusted=False) == first
    assert list(server.store.records()) == list(before)
    stored = GrantStore(server.vault).newest_or_none(before[0].account.key)
    assert stored is not None
    assert stored.grant.access.reveal() == "at-renewed", "a repeated handover overwrites no renewed grant"
    assert len(server.accounts.history(first.id)) == 1


def test_the_same_person_again_is_the_same_account(server: Engine) -> None:
    first = server.take_over.keep(handed(server), trusted=False)
    again = server.take_over.keep(
        handed(server, id="handover-number-2", grant=seal(grant_of(VIEW)).reveal()), trusted=False
    )
    assert again.key == first.key
    assert [event.kind for event in server.accounts.history(first.id)] == ["connected", "reconnected"]
    assert len(server.store.names("handover/")) == 2
    server.clock.forward(days=2)  # type: ignore[attr-defined]
    server.take_over.keep(handed(server, id="handover-number-3"), trusted=False)
    assert server.store.names("handover/") == ["handover/handover-number-3"], "old ones are forgotten"


def test_another_label(server: Engine) -> None:
    assert server.take_over.keep(handed(server, label="Team"), trusted=False).label == "team"
    with pytest.raises(Usage, match="already"):
        server.take_over.keep(handed(server, label="team", id="handover-number-2"), trusted=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest", "https://169.254.169.254/", "https://10.0.0.5/token",
        "https://127.0.0.1/token", "http://127.0.0.1:9/token", "https://localhost/token", "https://[::1]/t",
        "https://2130706433/t", "https://intranet/t", "https://printer.local/t", "file:///etc/passwd",
        "https://user@provider.example/t", "gopher://x.example/",
    ],
)  # fmt: skip
def test_s72_a_tenants_administrator_names_no_address_of_the_servers_network(
    server: Engine, url: str
) -> None:
    for change in (endpoint(url), pinned(api_base=url), pinned(registration_uri=url)):
        with pytest.raises(SettingWrong) as refused:
            server.take_over.keep(handed(server, change), trusted=False)
        assert refused.value.code == "endpoint_unsafe"
    assert server.store.records() == []


def test_s72_nor_a_host_of_it(server: Engine) -> None:
    for host in ("169.254.169.254", "127.0.0.1:9", "intranet", "*.local"):
        with pytest.raises(SettingWrong):
            server.take_over.keep(handed(server, pinned(api_hosts=(host,))), trusted=False)


@pytest.mark.parametrize(
    "url", ["https://10.0.0.5/a.png", "http://127.0.0.1/a.png", "https://a.example/a.png"]
)
def test_s72_nor_a_picture_in_it(server: Engine, url: str) -> None:
    def pictured(record: Record) -> Record:
        return replace(record, account=replace(record.account, avatar_url=url))

    server.take_over.keep(handed(server, pictured), trusted=False)
    (record,) = server.store.records()
    assert record.account.avatar_url == (url if "example" in url else None)


def test_whoever_runs_the_server_may_use_its_own_computer(server: Engine) -> None:
    assert server.take_over.keep(handed(server, endpoint("http://127.0.0.1:9/x")), trusted=True)
    with pytest.raises(SettingWrong):
        server.take_over.keep(
            handed(server, endpoint("http://provider.example/x"), id="handover-number-2"), trusted=True
        )


def test_a_server_with_another_preset_refuses(server: Engine) -> None:
    def moved(record: Record) -> Record:
        pin = record.account.pin
        ends = replace(pin.server.endpoints, token_endpoint="https://evil.example/token")
        return pinned(server=replace(pin.server, endpoints=ends))(record)

    with pytest.raises(SettingWrong, match="other addresses"):
        server.take_over.keep(handed(server, moved), trusted=False)
    gone = lambda record: replace(record, account=replace(record.account, provider="nowhere"))  # noqa: E731
    with pytest.raises(SettingWrong, match="has no preset nowhere"):
        server.take_over.keep(handed(server, gone), trusted=False)


@pytest.mark.parametrize(
    "fields",
    [
        {"v": 2}, {"id": "short"}, {"id": 7}, {"id": "x" * 65}, {"label": 7}, {"client": 7}, {"record": None},
        {"record": []}, {"record": {"account": {}}}, {"grant": "x"}, {"grant": None}, {"client": "x"},
        {"client": "[]"}, {"client": ClientSecrets(key_id="k").sealed().reveal()}, {"more": 1},
    ],
)  # fmt: skip
def test_what_is_no_handover(server: Engine, fields: dict[str, Any]) -> None:
    with pytest.raises(Usage) as refused:
        server.take_over.keep(handed(server, **fields), trusted=True)
    assert "handed" not in str(refused.value), "no token in the error"
    assert server.store.records() == []


def test_a_keychain_that_refuses_leaves_nothing(server: Engine) -> None:
    server.vault.error = KeychainError("locked", code="keychain_locked")  # type: ignore[attr-defined]
    with pytest.raises(KeychainError):
        server.take_over.keep(handed(server), trusted=False)
    server.vault.error = None  # type: ignore[attr-defined]
    assert server.store.records() == []
    assert server.store.names("handover/") == []
    assert server.take_over.keep(handed(server), trusted=False).id == VIEW.id, "the next try works"
