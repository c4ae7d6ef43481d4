"""Keyfob's client of Nexus Mods, over real sockets, against our server (`support/nexus_server.py`)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import keyfob
from keyfob.nexus.api import PAUSE
from keyfob.nexus.reading import ModFiles
from keyfob.nexus.service import Nexus, NexusService
from support.nexus_home import nexus_at
from support.nexus_server import NexusServer

pytestmark = pytest.mark.network
SKYRIM = "skyrimspecialedition"


@pytest.fixture
def server() -> Iterator[NexusServer]:
    with NexusServer() as made:
        yield made
        assert made.site.offences == []  # no request lacked its names, and no credentials went elsewhere


@pytest.fixture
def nexus(tmp_path: Path, server: NexusServer) -> Iterator[Nexus]:
    with nexus_at(tmp_path, server) as made:
        yield made


@pytest.fixture
def aldis(nexus: Nexus) -> NexusService:
    return nexus.service("nexusmods/aldis")


def test_who_it_is_and_what_is_left(aldis: NexusService, nexus: Nexus, server: NexusServer) -> None:
    profile = aldis.profile()
    assert (profile.name, profile.member_id, profile.membership, profile.is_premium) == (
        "Aldis",
        1,
        "Premium",
        True,
    )
    assert nexus.service("nexusmods/brea").profile().membership == "Free"
    limits = aldis.limits
    assert (limits.daily_left, limits.daily_limit, limits.hourly_left) == (19_999, 20_000, 500)
    # The two shapes of times that were seen.
    assert limits.hourly_resets_at == datetime(2099, 10, 2, 16, tzinfo=UTC)
    assert limits.daily_resets_at == datetime(2099, 10, 3, tzinfo=UTC)
    agent = server.site.asked[0].headers["user-agent"]
    assert agent.startswith(f"Keyfob/{keyfob.__version__} (")
    assert server.site.asked[0].headers["application-version"] == keyfob.__version__


def test_of_a_sign_in_the_member_is_asked_for(tmp_path: Path, server: NexusServer) -> None:
    server.site.members[2].roles = ("member", "supporter")
    with nexus_at(tmp_path, server, oauth=True) as nexus:
        brea = nexus.service("nexusmods/brea").profile()
        assert (brea.name, brea.membership, brea.avatar) == (
            "Brea", "Supporter", f"{server.cdn}/pictures/member-2.png",
        )  # fmt: skip
        del server.site.members[2]
        # What Keyfob knows from the sign-in.
        assert nexus.service("nexusmods/brea").known_profile().name == "Brea"


def test_no_more_than_two_requests_a_second(tmp_path: Path, server: NexusServer) -> None:
    assert PAUSE >= 0.5
    with nexus_at(tmp_path, server, pause=0.3) as nexus:
        service, began = nexus.service("nexusmods/aldis"), time.monotonic()
        for _ in range(3):
            service.profile()
        assert 0.6 <= time.monotonic() - began < 5


def test_limits_that_an_answer_does_not_name_are_unknown(aldis: NexusService, server: NexusServer) -> None:
    server.site.limits_shown = False
    aldis.profile()
    assert aldis.limits.daily_left is None
    assert not aldis.limits.low
    assert not aldis.limits.used_up


def test_low_limits_are_noticed_before_they_run_out(aldis: NexusService, server: NexusServer) -> None:
    member = server.site.members[1]
    member.daily_left = 1_900
    aldis.profile()
    assert aldis.limits.low
    member.daily_left, member.hourly_left = 0, 1
    aldis.profile()
    assert aldis.limits.used_up
    asked = len(server.site.asked)
    with pytest.raises(keyfob.Transient) as caught:
        aldis.profile()
    assert caught.value.code == "rate_limited"
    assert caught.value.until == datetime(2099, 10, 2, 16, tzinfo=UTC)
    assert len(server.site.asked) == asked  # a request that would be refused is not sent


def test_a_429_is_waited_for_and_the_request_sent_again(aldis: NexusService, server: NexusServer) -> None:
    server.site.faults = [("/users/validate", "too_fast")]
    assert aldis.profile().name == "Aldis"
    assert len(server.site.paths()) == 2


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("cloudflare", "bot_check", "Cloudflare, which protects Nexus Mods, stopped the request"),
        ("202", "provider_unavailable", "Nexus Mods did not finish the request in time"),
        ("521", "provider_unavailable", "Nexus Mods is not available right now (HTTP status 521)"),
        ("500", "provider_unavailable", "Nexus Mods is not available right now (HTTP status 500)"),
        ("null", "provider_unavailable", "Nexus Mods sent an empty answer"),
    ],
)
def test_odd_answers_are_told_apart(
    aldis: NexusService, server: NexusServer, fault: str, code: str, words: str
) -> None:
    server.site.faults = [("/games", fault)]
    with pytest.raises(keyfob.Transient) as caught:
        aldis.all_games()
    assert (caught.value.code, caught.value.message) == (code, words)
    assert len(aldis.all_games()) == 2  # nothing of it was kept


def test_a_long_wait_is_the_callers_to_know(aldis: NexusService, server: NexusServer) -> None:
    server.site.faults = [("/users/validate", "wait_long")]
    with pytest.raises(keyfob.Transient) as caught:
        aldis.profile()
    assert (caught.value.code, caught.value.retry_after) == ("rate_limited", timedelta(seconds=3600))
    assert caught.value.until is not None
    assert len(server.site.paths()) == 1


def test_s64_a_redirect_is_followed_within_the_api_alone(aldis: NexusService, server: NexusServer) -> None:
    server.site.faults = [("/users/validate", "moved")]
    assert aldis.profile().name == "Aldis"
    server.site.faults = [("/users/validate", "moved_away")]
    with pytest.raises(keyfob.PeerFault):
        aldis.profile()
    assert server.site.paths("cdn") == []


def test_a_long_list_takes_few_requests(aldis: NexusService, server: NexusServer) -> None:
    """Two thousand tracked mods: their names come 80 at a time, and only the installed ones are checked."""
    game, count = server.site.games["eldenring"], 2_000
    for number in range(1000, 1000 + count):
        game.mods[number] = replace(game.mods[20], mod_id=number, name=f"Mod of {number}")
    server.site.members[1].tracked = [("eldenring", number) for number in range(1000, 1000 + count)]
    assert len(aldis.mods()) == count
    assert len(server.site.asked) == 1 + count // 80
    aldis.set_installed("eldenring", 1007, version="0.9")
    asked = len(server.site.asked)
    states = aldis.check()
    assert [each.mod.mod_id for each in states if each.state == "update"] == [1007]
    assert len(server.site.asked) == asked + 3  # what is tracked, the list of changes, one mod's files


def test_an_expired_token_is_replaced_once(tmp_path: Path, server: NexusServer) -> None:
    with nexus_at(tmp_path, server, oauth=True) as nexus:
        service = nexus.service("nexusmods/aldis")
        assert service.profile().is_premium
        ends = {token: (member, 0.0) for token, (member, _) in server.site.tokens.items()}
        server.site.tokens.update(ends)
        assert service.profile().name == "Aldis"
        assert server.site.paths() == ["POST /v2/graphql"] * 3  # the second one was refused


def test_a_key_that_is_refused_is_a_reason_to_sign_in(aldis: NexusService, server: NexusServer) -> None:
    server.site.members[1].key = "another"  # the member made a new one
    with pytest.raises(keyfob.SignInNeeded) as caught:
        aldis.profile()
    assert caught.value.code == "token_rejected"


def test_games_are_kept_for_a_day_and_what_is_the_users_is_not(
    aldis: NexusService, server: NexusServer
) -> None:
    assert [game.name for game in aldis.all_games()] == ["Elden Ring", "Skyrim Special Edition"]
    aldis.all_games()
    assert server.site.paths().count("GET /v1/games") == 1
    aldis.mods()
    aldis.mods()
    assert server.site.paths().count("GET /v1/user/tracked_mods") == 2
    assert server.site.paths().count("POST /v2/graphql") == 1  # mods are kept for five minutes


def test_the_users_mods_are_those_tracked_and_those_added(aldis: NexusService, server: NexusServer) -> None:
    assert [each.mod.name for each in aldis.mods()] == ["Night Life", "Quiet Roads"]
    assert aldis.games()[0].domain == SKYRIM
    added = aldis.add_mod("https://www.nexusmods.com/eldenring/mods/20", version="v1")
    assert (added.mod.name, added.installed_version) == ("Grace Map", "1")
    assert [each.mod.name for each in aldis.mods("eldenring")] == ["Grace Map"]
    assert [game.domain for game in aldis.games()] == ["eldenring", SKYRIM]
    aldis.track("eldenring", 20, on=True)
    assert ("eldenring", 20) in server.site.members[1].tracked
    aldis.remove_mod("eldenring", 20)
    assert ("eldenring", 20) not in server.site.members[1].tracked
    assert aldis.mods("eldenring") == []
    with pytest.raises(keyfob.NotFound):
        aldis.add_mod("skyrimspecialedition/999")


def test_a_changed_v2_api_is_replaced_by_v1(
    aldis: NexusService, server: NexusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keyfob.nexus import site

    monkeypatch.setattr(site, "MODS", site.MODS.replace("adultContent", "noSuchField"))
    assert [each.mod.name for each in aldis.mods()] == ["Night Life", "Quiet Roads"]
    assert f"GET /v1/games/{SKYRIM}/mods/10" in server.site.paths()


def test_updates_follow_the_authors_chain(aldis: NexusService, server: NexusServer) -> None:
    for number, version in ((10, "1.8.0"), (11, None), (12, "3.2"), (13, "2.4.1"), (14, "0.9.8"), (15, None)):
        if number not in (14, 15):
            aldis.add_mod(f"{SKYRIM}/{number}", version=version)
    aldis.set_installed(SKYRIM, 11, file_id=110)
    now = int(server.site.clock())
    for mod in server.site.games[SKYRIM].mods.values():
        mod.updated = now - 3_600
    found = {each.mod.mod_id: each for each in aldis.check()}
    # 101 → 102 (removed) → 103: the last that is offered.
    assert (found[10].state, found[10].newest, found[10].newest_file_id) == ("update", "1.9.2", 103)
    assert found[10].installed_file_id == 101
    assert (found[11].state, found[11].newest) == ("update", "2.1.0")  # archived, and one file is offered
    assert found[12].state == "choose"  # two files, and no chain
    assert (found[13].state, found[13].newest) == ("current", "2.4.1")  # the page says 2.5
    assert found[16].state == "unknown"  # tracked, and not installed
    asked = server.site.paths().count(f"GET /v1/games/{SKYRIM}/mods/10/files")
    aldis.check()
    assert server.site.paths().count(f"GET /v1/games/{SKYRIM}/mods/10/files") == asked  # nothing has changed


def test_a_mod_that_is_hidden_or_removed_keeps_its_name(aldis: NexusService, server: NexusServer) -> None:
    aldis.add_mod(f"{SKYRIM}/10", version="1.8.0")
    aldis.mods()
    server.site.mod(SKYRIM, 10).status = "hidden"
    state = next(each for each in aldis.mods(fresh=True) if each.mod.mod_id == 10)
    assert (state.state, state.mod.name, state.mod.status) == ("hidden", "Quiet Roads", "hidden")
    server.site.mod(SKYRIM, 10).status = "removed"
    state = next(each for each in aldis.check() if each.mod.mod_id == 10)
    assert (state.state, state.mod.name) == ("hidden", "Quiet Roads")
    server.site.mod(SKYRIM, 10).status = "published"
    aldis.mods(fresh=True)
    assert next(each for each in aldis.check() if each.mod.mod_id == 10).state == "update"


def test_what_is_installed_during_a_check_is_not_taken_for_old(
    aldis: NexusService, monkeypatch: pytest.MonkeyPatch
) -> None:
    aldis.add_mod(f"{SKYRIM}/10", version="1.8.0")
    files = aldis.site.files

    def slow(game: str, mod_id: int, *, fresh: bool = False) -> ModFiles:
        found = files(game, mod_id, fresh=fresh)
        if mod_id == 10:
            aldis.set_installed(game, mod_id, version="1.9.2")
        return found

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(aldis.site, "files", slow)
        state = next(each for each in aldis.check() if each.mod.mod_id == 10)
    assert (state.state, state.installed_version) == ("unknown", "1.9.2")
    state = next(each for each in aldis.check() if each.mod.mod_id == 10)
    assert (state.state, state.installed_version) == ("current", "1.9.2")


def test_adult_content_is_hidden_unless_chosen(aldis: NexusService, server: NexusServer) -> None:
    names = [mod.name for mod in aldis.browse(SKYRIM, "trending")]
    assert "Night Life" not in names
    assert "Mod 14" not in names  # hidden mods come without a name
    assert len(names) == 4
    night = next(each for each in aldis.mods() if each.mod.mod_id == 16)
    assert night.mod.picture is not None
    assert night.mod.picture.endswith("16-blurred.png")
    aldis.set_adult(True)
    assert "Night Life" in [mod.name for mod in aldis.browse(SKYRIM, "latest_updated", fresh=True)]


def test_s98_pictures_come_without_credentials_and_are_kept(aldis: NexusService, server: NexusServer) -> None:
    url = aldis.browse(SKYRIM, "trending")[0].picture
    assert url is not None
    path = aldis.picture(url)
    assert path is not None
    assert path.read_bytes().startswith(b"\x89PNG")
    assert aldis.picture(url) == path
    assert len(server.site.paths("cdn")) == 1
    for other in ("https://example.org/a.png", "file:///etc/passwd", f"{server.cdn}/nothing", "https://["):
        assert aldis.picture(other) is None
    assert len(server.site.paths("cdn")) == 2
