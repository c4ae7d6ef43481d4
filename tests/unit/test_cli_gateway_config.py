"""`keyfob gateway config`: what it refuses, before it prints anything."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from keyfob.engine import build
from support.cli_run import opens, run
from support.fake_ports import fake_ports


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nginx", "--public-name", 'a;"x'), "--public-name is a host name"),
        (("nginx", "--listen", "2080"), "--listen is an address and a port"),
        (("nginx", "--listen", "a;b:80"), "--listen is an address and a port"),
        (("nginx", "--gateway", "192.0.2.1:2026"), "must be an address of this computer"),
        (("caddy", "--cache", "1"), "Only nginx can keep decisions"),
        (("envoy", "--certificate", "a.pem"), "belong together"),
        (("nginx", "--upstream-ca", '/tmp/a"; x'), "has characters"),
    ],
)
def test_what_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.delenv("KEYFOB_ENGINE_SECRET", raising=False)
    engine = build(fake_ports(tmp_path))
    ran = run(("gateway", "config", *words), opens(engine), now=lambda: datetime.now(UTC))
    assert ran.code != 0
    assert said in " ".join(ran.err.split())
    assert ran.out == ""


def test_without_an_account_there_is_nothing_to_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KEYFOB_ENGINE_SECRET", raising=False)
    engine = build(fake_ports(tmp_path))
    ran = run(("gateway", "config", "nginx"), opens(engine), now=lambda: datetime.now(UTC))
    assert (ran.code, ran.out) == (8, "")
    assert "There is no account for the configuration" in ran.err
