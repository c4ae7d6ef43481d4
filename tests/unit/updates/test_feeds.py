"""Release feeds of GitHub's shape, from a server that limits, moves, caches and says odd things."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyfob.core.errors import KeyfobError, Transient
from keyfob.core.secret import Secret
from keyfob.updates.feeds import Asset, Release, ReleaseFeeds, newest_of
from support.hostile import RawServer, Talk, answer, redirect

pytestmark = pytest.mark.network
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
HEX = "ab" * 32


def entry(tag: str, **more: Any) -> dict[str, Any]:
    return {
        "tag_name": tag, "name": f"Release {tag}", "body": "# News\n\n- faster", "draft": False,
        "prerelease": False, "published_at": "2026-11-20T08:00:00Z", "author": {"login": "somebody"},
        "html_url": f"https://github.com/o/r/releases/tag/{tag}", "assets": [], **more,
    }  # fmt: skip


ASSET = {
    "name": "me3-linux-amd64.tar.gz", "browser_download_url": "https://github.com/o/r/releases/download/v1/x.tgz",
    "size": 12, "digest": f"sha256:{HEX.upper()}", "content_type": "application/gzip", "state": "uploaded",
}  # fmt: skip


class GitHub:
    """Answers `GET /repos/o/r/releases[/latest]`. With `left` 0 it limits those without a token."""

    def __init__(self) -> None:
        self.entries = [entry("v1.1", assets=[ASSET]), entry("v1.0")]
        self.tag = 'W/"abc"'
        self.left = 60
        self.good_token = "example"
        self.limit: Mapping[str, str] = {}

    def __call__(self, talk: Talk) -> None:
        headers, path = talk.request.headers, talk.request.target.partition("?")[0]
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token and token != self.good_token:
            answer(401, b'{"message":"Bad credentials"}')(talk)
        elif self.left == 0 and not token:
            answer(403, b'{"message":"API rate limit exceeded"}', self.limit)(talk)
        elif headers.get("if-none-match") == self.tag:
            answer(304, b"", {"ETag": self.tag})(talk)
        elif path == "/repos/o/r/releases":
            self._give(talk, self.entries)
        elif path == "/repos/o/r/releases/latest":
            full = [each for each in self.entries if not each["draft"] and not each["prerelease"]]
            self._give(talk, full[0]) if full else answer(404, b'{"message":"Not Found"}')(talk)
        else:
            answer(404, b'{"message":"Not Found"}')(talk)

    def _give(self, talk: Talk, data: Any) -> None:
        answer(200, json.dumps(data).encode(), {"ETag": self.tag})(talk)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hub() -> GitHub:
    return GitHub()


def feeds(folder: Path, server: RawServer, clock: Clock, token: str | None = None) -> ReleaseFeeds:
    from keyfob.adapters.network.transport import HttpTransport

    return ReleaseFeeds(
        folder,
        token=lambda: None if token is None else Secret(token),
        github=server.url("").rstrip("/"),
        transport=HttpTransport(clock),
        clock=clock,
    )


def test_the_latest_release_is_read(tmp_path: Path, hub: GitHub, clock: Clock) -> None:
    with RawServer(hub) as server:
        found = feeds(tmp_path, server, clock).newest(server.url("/repos/o/r/releases"))
        (asked,) = server.requests
    assert found == Release(
        "1.1", "v1.1", "Release v1.1", "# News\n\n- faster", datetime(2026, 11, 20, 8, tzinfo=UTC),
        "https://github.com/o/r/releases/tag/v1.1", False,
        (Asset(ASSET["name"], ASSET["browser_download_url"], 12, HEX, "application/gzip"),),  # type: ignore[arg-type]
    )  # fmt: skip
    assert asked.target == "/repos/o/r/releases/latest"
    assert asked.headers["accept"].startswith("application/vnd.github+json")
    assert asked.headers["x-github-api-version"] == "2022-11-28"
    assert asked.headers["user-agent"].startswith("Keyfob/")
    assert "authorization" not in asked.headers


def test_pre_releases_come_by_choice(tmp_path: Path, hub: GitHub, clock: Clock) -> None:
    hub.entries = [
        entry("v1.2.0-rc.1"), entry("v2.0", draft=True), entry("v1.3", prerelease=True), entry("v1.1"),
    ]  # fmt: skip
    hub.entries[0]["prerelease"] = False  # only its number says what it is
    with RawServer(hub) as server:
        address = server.url("/repos/o/r/releases")
        made = feeds(tmp_path, server, clock)
        assert [each.tag for each in made.releases(address)] == ["v1.2.0-rc.1", "v1.3", "v1.1"]
        pre = made.newest(address, pre=True)
        hub.tag = '"other"'
        full = newest_of(each for each in made.releases(address) if not each.prerelease)
    assert pre is not None
    assert (pre.tag, pre.prerelease) == ("v1.3", True)
    assert full is not None
    assert full.tag == "v1.1"


def test_of_several_programs_in_one_repository_the_wanted_one_is_found(
    tmp_path: Path, hub: GitHub, clock: Clock
) -> None:
    hub.entries = [entry("cli-v9.0"), entry("app-v1.2"), entry("app-v1.10"), entry("app-v1.3")]
    with RawServer(hub) as server:
        found = feeds(tmp_path, server, clock).newest(
            server.url("/repos/o/r/releases"), wanted=lambda each: each.tag.startswith("app-")
        )
    assert found is not None
    assert found.version == "1.10"


def test_none_is_none(tmp_path: Path, hub: GitHub, clock: Clock) -> None:
    hub.entries = []
    with RawServer(hub) as server:
        assert feeds(tmp_path, server, clock).newest(server.url("/repos/o/r/releases")) is None


def test_an_etag_saves_the_answer(tmp_path: Path, hub: GitHub, clock: Clock) -> None:
    with RawServer(hub) as server:
        address = server.url("/repos/o/r/releases")
        first = feeds(tmp_path, server, clock).newest(address)
        clock.now += timedelta(days=1)
        made = feeds(tmp_path, server, clock)
        assert made.newest(address) == first
        assert server.requests[-1].headers["if-none-match"] == 'W/"abc"', "exactly as it came"
        assert made.asked_at(address) == clock.now
        clock.now += timedelta(hours=1)
        assert made.newest(address, max_age=timedelta(hours=2)) == first
        assert len(server.requests) == 2, "what is fresh is not asked for"
        clock.now -= timedelta(days=30)
        assert made.newest(address, max_age=timedelta(hours=2)) == first
        assert len(server.requests) == 3, "a time in the future is not fresh"


@pytest.mark.parametrize("damage", [b"", b"[]", b"{}", b'{"etag": 1, "at": "x"}', b"\xff"])
def test_a_damaged_cache_is_asked_again(tmp_path: Path, hub: GitHub, clock: Clock, damage: bytes) -> None:
    with RawServer(hub) as server:
        address = server.url("/repos/o/r/releases")
        first = feeds(tmp_path, server, clock).newest(address)
        for each in tmp_path.iterdir():
            each.write_bytes(damage)
        assert feeds(tmp_path, server, clock).newest(address, max_age=timedelta(days=1)) == first


def test_the_users_token_lifts_the_limit(tmp_path: Path, hub: GitHub, clock: Clock) -> None:
    hub.left = 0
    with RawServer(hub) as server:
        address = server.url("/repos/o/r/releases")
        with pytest.raises(Transient) as refused:
            feeds(tmp_path, server, clock).newest(address)
        assert refused.value.code == "feed_limited"
        assert feeds(tmp_path, server, clock, "example").newest(address) is not None
        assert server.requests[-1].headers["authorization"] == "Bearer example"


def test_a_token_that_was_withdrawn_does_not_stand_in_the_way(
    tmp_path: Path, hub: GitHub, clock: Clock
) -> None:
    with RawServer(hub) as server:
        made = feeds(tmp_path, server, clock, "withdrawn")
        assert made.newest(server.url("/repos/o/r/releases")) is not None
        assert [each.headers.get("authorization") for each in server.requests] == ["Bearer withdrawn", None]


def test_s106_the_token_goes_to_no_other_server(tmp_path: Path, hub: GitHub, clock: Clock) -> None:
    with RawServer(hub) as other, RawServer(redirect(301, other.url("/repos/o/r/releases/latest"))) as server:
        made = feeds(tmp_path, server, clock, "example")
        assert made.newest(server.url("/repos/o/r/releases")) is not None
        assert made.releases(other.url("/repos/o/r/releases"))
        assert server.requests[0].headers["authorization"] == "Bearer example"
        assert len(other.requests) == 2
        assert all("authorization" not in each.headers for each in other.requests)


def test_a_renamed_repository_is_followed(tmp_path: Path, hub: GitHub, clock: Clock) -> None:
    def renamed(talk: Talk) -> None:
        old = talk.request.target.startswith("/repos/old/")
        (redirect(301, talk.request.target.replace("old/name", "o/r")) if old else hub)(talk)

    with RawServer(renamed) as server:
        made = feeds(tmp_path, server, clock, "example")
        found = made.newest(server.url("/repos/old/name/releases"))
        assert found is not None
        assert server.requests[-1].headers["authorization"] == "Bearer example", "the same origin"


@pytest.mark.parametrize("to", ["http://elsewhere.example/", "file:///etc/passwd", "//[", "https://"])
def test_a_redirect_that_cannot_be_followed(tmp_path: Path, clock: Clock, to: str) -> None:
    with RawServer(redirect(301, to)) as server, pytest.raises(KeyfobError) as refused:
        feeds(tmp_path, server, clock).newest(server.url("/repos/o/r/releases"))
    assert refused.value.code == "response_invalid"


def test_redirects_in_a_circle(tmp_path: Path, clock: Clock) -> None:
    with RawServer(redirect(301, "/again")) as server, pytest.raises(Transient, match="too often"):
        feeds(tmp_path, server, clock).newest(server.url("/repos/o/r/releases"))


@pytest.mark.parametrize(
    ("limit", "minutes"),
    [
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 1500)}, 25),
        ({"Retry-After": "120"}, 2),
        ({"x-ratelimit-remaining": "0"}, 1),  # GitHub: wait at least a minute
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "0"}, 1),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "99999999999"}, 120),
    ],
)
def test_a_limit_says_until_when_and_is_kept(
    tmp_path: Path, hub: GitHub, clock: Clock, limit: Mapping[str, str], minutes: int
) -> None:
    hub.left, hub.limit = 0, limit
    with RawServer(hub) as server:
        for _ in range(2):
            with pytest.raises(Transient) as refused:
                feeds(tmp_path, server, clock).releases(server.url("/repos/o/r/releases"))
            assert refused.value.until == NOW + timedelta(minutes=minutes)
            assert f"until 12:{minutes:02}" in refused.value.full_message(UTC) or minutes == 120
        assert len(server.requests) == 1, "it is not asked before that"
        clock.now += timedelta(minutes=minutes)
        hub.left = 60
        assert feeds(tmp_path, server, clock).releases(server.url("/repos/o/r/releases"))


def test_too_many_requests_of_another_server(tmp_path: Path, clock: Clock) -> None:
    with (
        RawServer(answer(429, b"{}")) as server,
        RawServer(answer()) as other,
        pytest.raises(Transient) as refused,
    ):
        feeds(tmp_path, other, clock).releases(server.url("/feed.json"))
    assert refused.value.code == "rate_limited"


@pytest.mark.parametrize(
    ("status", "body", "headers", "code"),
    [
        (200, b"<!doctype html><title>Hotel</title>", {"Content-Type": "text/html"}, "captive_portal"),
        (511, b"", {}, "captive_portal"),
        (503, b"", {}, "provider_unavailable"),
        (200, b'{"message": "hello"}', {}, "response_invalid"),
        (200, b"[", {}, "response_invalid"),
        (404, b"{}", {}, "feed_not_found"),
        (403, b'{"message": "Resource not accessible"}', {}, "protocol_violation"),
    ],
)
def test_other_answers_say_what_they_are(
    tmp_path: Path, clock: Clock, status: int, body: bytes, headers: Mapping[str, str], code: str
) -> None:
    with RawServer(answer(status, body, headers)) as server, pytest.raises(KeyfobError) as refused:
        feeds(tmp_path, server, clock).releases(server.url("/feed"))
    assert refused.value.code == code


def test_offline(tmp_path: Path, clock: Clock) -> None:
    with RawServer(answer()) as server:
        made = feeds(tmp_path, server, clock)
        address = server.url("/feed")
    with pytest.raises(Transient) as refused:
        made.releases(address)
    assert refused.value.code == "network_unreachable"


def test_only_a_tag_is_needed(tmp_path: Path, clock: Clock) -> None:
    data = [
        {"tag_name": "2.0"}, {"name": "no tag"}, {"tag_name": ""}, "text", None, 7,
        {
            "tag_name": "v1\x1b[31m", "body": None, "published_at": "soon", "html_url": "javascript:alert(1)",
            "assets": [
                {"name": "a", "browser_download_url": "https://example.org/a b"},
                {"name": "b", "browser_download_url": "file:///etc/passwd"},
                {"name": "c", "browser_download_url": "https://example.org/c", "state": "new"},
                {"name": "d", "browser_download_url": "https://example.org/d", "digest": "md5:1", "size": -1},
                {"browser_download_url": "https://example.org/e"}, None,
            ],
        },
        {"tag_name": "0.9", "assets": None, "published_at": "2026-01-02T03:04:05"},
    ]  # fmt: skip
    with RawServer(answer(200, json.dumps(data).encode())) as server:
        found = feeds(tmp_path, server, clock).releases(server.url("/feed"))
    assert [each.version for each in found] == ["2.0", "1", "0.9"]
    assert found[0] == Release("2.0", "2.0", "2.0", "", None, None, False, ())
    assert "\x1b" not in found[1].tag
    assert found[1].page is None
    assert [(each.name, each.size, each.sha256) for each in found[1].assets] == [
        ("a", None, None), ("d", None, None),
    ]  # fmt: skip
    assert found[2].published_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_versions_without_an_order_keep_the_feeds(tmp_path: Path, clock: Clock) -> None:
    names = ["nightly-b", "nightly-a"]
    with RawServer(answer(200, json.dumps([entry(each) for each in names]).encode())) as server:
        found = newest_of(feeds(tmp_path, server, clock).releases(server.url("/feed")))
    assert found is not None
    assert found.tag == "nightly-b"


def test_a_disk_that_cannot_be_written_only_costs_time(tmp_path: Path, hub: GitHub, clock: Clock) -> None:
    (tmp_path / "file").write_text("")
    with RawServer(hub) as server:
        assert feeds(tmp_path / "file" / "x", server, clock).newest(server.url("/repos/o/r/releases"))
