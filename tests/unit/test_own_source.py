"""Requests of Keyfob's own features are signed by the engine of their process."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import keyfob
from keyfob.agent.own_source import OwnSource
from keyfob.client import tokens
from keyfob.desktop.app import open_nexus
from support.rig import PRESET, Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path)
    # Terms that keep the token from other programs do not matter here: it stays in this process.
    terms = PRESET.replace(
        'client_id = "keyfob"\n', 'client_id = "keyfob"\nshare = false\nshare_reason = "terms"\n', 1
    )
    (made.presets / "example.toml").write_text(terms)
    made.connect()
    return made


@pytest.fixture
def source(rig: Rig) -> OwnSource:
    return OwnSource(rig.accounts, rig.engine.signer)


def test_it_lists_and_signs_and_replaces_a_refused_token(rig: Rig, source: OwnSource) -> None:
    assert [row["id"] for row in source.accounts()] == ["example/alice"]
    url = "https://id.example.org/v1/me"
    signed = source.sign("example/alice", "GET", url, None, None)
    assert (signed["headers"]["Authorization"], signed["url"]) == ("Bearer access-1", url)
    again = source.sign("example/alice", "GET", url, None, signed["token"])
    assert again["headers"]["Authorization"] == "Bearer access-2"
    assert rig.server.log == ["refresh"]


def test_s64_no_other_host_and_no_bare_token(source: OwnSource) -> None:
    with pytest.raises(keyfob.SettingWrong) as caught:
        source.sign("example/alice", "GET", "https://evil.example/", None, None)
    assert caught.value.code == "host_not_allowed"
    with pytest.raises(keyfob.Usage):
        source.lease("example/alice", None, None)


def test_the_window_asks_no_socket(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYFOB_SOCK", str(tmp_path / "no.sock"))
    engine: Any = SimpleNamespace(accounts=rig.accounts, signer=rig.engine.signer, home=rig.ports.home)
    before = tokens.ask(tokens.AgentOrCommand())
    try:
        assert open_nexus(engine).accounts() == []
        assert [row["id"] for row in keyfob.accounts()] == ["example/alice"]
    finally:
        tokens.ask(before)
