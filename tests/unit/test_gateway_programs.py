"""Programs that have access, and the gateway that runs inside the app."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from keyfob.core.errors import NotFound, Transient, Usage
from keyfob.engine import Engine
from keyfob.gateway import packages
from keyfob.gateway.auth.tables import open_database
from keyfob.gateway.grant_store import UseCounter, uses
from keyfob.gateway.grants import Uses
from keyfob.gateway.own_gateway import OwnGateway, Standing, serving
from keyfob.gateway.programs import Access, Programs
from support.fake_ports import NOW
from support.sample_engine import sample_engine

H = timedelta(hours=1)


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    made = Programs(tmp_path)
    yield made
    made.close()


def test_the_file_comes_with_the_first_access(programs: Programs, tmp_path: Path) -> None:
    assert programs.all(NOW) == ()
    assert not (tmp_path / "gateway.db").exists()
    given = programs.give(Access("bot", "github/aldis", ("read",), ("/user",)), NOW)
    assert given.key.reveal().startswith("sk-")
    assert (tmp_path / "gateway.db").stat().st_mode & 0o077 == 0
    ((grant, used),) = programs.all(NOW)
    assert grant == given.grant
    assert grant.methods == ("GET", "HEAD", "OPTIONS")
    assert used == Uses()


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("", "usage", "The program needs a name"),
        ("x" * 61, "usage", "The name has more than 60 characters"),
        ("Bot", "program_taken", "Bot has access already"),
    ],
)
def test_a_name_that_does_not_fit_makes_nothing(programs: Programs, name: str, code: str, says: str) -> None:
    programs.give(Access("bot", "github/aldis"), NOW)
    with pytest.raises(Usage) as caught:
        programs.give(Access(name, "github/aldis"), NOW)
    assert (caught.value.code, caught.value.message) == (code, says)
    assert len(programs.all(NOW)) == 1


def test_a_name_is_free_again_when_its_access_has_ended(programs: Programs) -> None:
    first = programs.give(Access("bot", "github/aldis"), NOW)
    programs.end(first.grant.grant_id)
    programs.give(Access("bot", "github/aldis", until=NOW + H), NOW)
    programs.give(Access("bot", "github/aldis"), NOW + 2 * H)
    with pytest.raises(NotFound):
        programs.end("nothing")


def test_a_damaged_database_is_trouble_and_not_a_bug(programs: Programs, tmp_path: Path) -> None:
    programs.give(Access("bot", "github/aldis"), NOW)
    with sqlite3.connect(tmp_path / "gateway.db") as database:
        database.execute("DROP TABLE gateway_grants")
    database.close()
    with pytest.raises(Transient, match="The gateway’s database cannot be used now"):
        programs.all(NOW)


def test_uses_by_the_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = open_database(f"sqlite:///{tmp_path / 'g.db'}")
    counter = UseCounter(sessions)

    class Then:
        at = NOW

        @classmethod
        def now(cls, _: object) -> object:
            return cls.at

    monkeypatch.setattr("keyfob.gateway.grant_store.datetime", Then)
    for ago, allowed, refused in ((25, 7, 7), (23, 1, 0), (1, 2, 1), (0, 3, 0)):
        Then.at = NOW - ago * H
        for _ in range(allowed):
            counter.count("g", allowed=True)
        for _ in range(refused):
            counter.count("g", allowed=False)
        counter.write()
    with sessions() as session:
        found = uses(session, NOW)["g"]
    assert found.by_hour == (1, *[0] * 21, 2, 3)
    assert (found.allowed, found.refused) == (6, 1)
    assert found.refused_by_hour[22] == 1
    assert found.last_at == NOW


# --- the gateway inside the app -----------------------------------------------------------------------------


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return sample_engine(tmp_path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def running(engine: Engine, port: int) -> Iterator[tuple[OwnGateway, list[Standing]]]:
    said: list[Standing] = []
    made = OwnGateway(engine.signer, engine.locks, engine.home, port, said.append)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        until(lambda: said and said[-1].state != "starting")
        yield made, said
    finally:
        made.stop()
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.network
def test_it_serves_the_person_s_grants_until_it_is_stopped(engine: Engine) -> None:
    programs, port = Programs(engine.home.data), free_port()
    given = programs.give(Access("bot", "github/aldis-k", paths=("/nothing",)), NOW)
    with running(engine, port) as (gateway, said):
        assert said[-1] == Standing("on", port)
        url = f"{said[-1].address}/github/aldis-k/user"
        answer = httpx.get(url, headers={"Authorization": f"Bearer {given.key.reveal()}"}, trust_env=False)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_granted")
        assert httpx.get(url, trust_env=False).status_code == 401
        gateway.write_uses()
        ((_, used),) = programs.all(datetime.now(UTC))
        assert used.refused == 1
    assert [each.state for each in said] == ["starting", "on", "off"]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    programs.close()


@pytest.mark.network
@pytest.mark.logs
def test_it_answers_llm_clients_by_the_model_table(engine: Engine) -> None:
    programs, port = Programs(engine.home.data), free_port()
    given = programs.give(Access("bot", "github/aldis-k"), NOW)
    table = engine.home.config / "models.yaml"
    table.write_text("fast: {account: github/aldis-k}\n")
    key = {"Authorization": f"Bearer {given.key.reveal()}"}
    with running(engine, port) as (_, said):
        address = f"{said[-1].address}/v1"
        models = httpx.get(f"{address}/models", headers=key, trust_env=False).json()
        assert [one["id"] for one in models["data"]] == ["fast"]
        answer = httpx.post(
            f"{address}/chat/completions", json={"model": "fast"}, headers=key, trust_env=False
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "format_not_spoken")
    table.write_text("fast: {}\n")
    with running(engine, port) as (_, said):
        assert said[-1].state == "on", "programs without models are served all the same"
    programs.close()


@pytest.mark.network
def test_a_taken_port_is_said(engine: Engine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running(engine, port) as (_, said):
            assert said[-1].state == "failed"
            error = said[-1].error
            assert error is not None
            assert (error.code, error.message) == (
                "gateway_port_taken",
                f"Port {port} cannot be used: Address already in use",
            )


@pytest.mark.network
def test_another_process_that_serves_the_same_grants_is_left_alone(engine: Engine) -> None:
    port = free_port()
    with serving(engine.locks, port), running(engine, port) as (_, said):
        assert said[-1] == Standing("elsewhere", port)


def test_without_the_packages_nothing_breaks(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    with running(engine, 2026) as (_, said):
        assert said[-1].error is not None
        assert said[-1].error.code == "gateway_not_installed"


def test_stopped_before_it_began(engine: Engine) -> None:
    said: list[Standing] = []
    gateway = OwnGateway(engine.signer, engine.locks, engine.home, 2026, said.append)
    gateway.stop()
    gateway.run()
    assert [each.state for each in said] == ["starting", "off"]
