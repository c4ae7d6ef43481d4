"""Release feeds of the shape that GitHub's REST API has (`GET /repos/{owner}/{repo}/releases`).

    feeds = ReleaseFeeds(home.state / "feeds", token=github_token)
    release = feeds.newest("https://api.github.com/repos/garyttierney/me3/releases")

Only `tag_name` is needed of a release: other servers leave things out. Answers are kept on disk with their
ETag, so that asking again costs little. GitHub allows 60 requests an hour to an address, and 5,000 with a
token. The token goes to api.github.com and to no other origin. A feed is not signed: what it says is shown,
and checksums in it prove that a file arrived whole, not whose it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from keyfob.core.errors import KeyfobError, NotFound, PeerFault, Transient
from keyfob.core.http import Request, Response
from keyfob.core.secret import Secret
from keyfob.core.text import inert, plain
from keyfob.core.untyped import Json
from keyfob.ports import Clock, Transport
from keyfob.protocol.http.responses import (
    NotStrictError,
    failure,
    is_cloudflare,
    is_web_page,
    parse_json,
    retry_after,
)
from keyfob.protocol.http.urls import fault_of, leads_inside, origin_of
from keyfob.updates.feed_cache import FeedCache, Kept
from keyfob.updates.reading import ADDRESS_MOST, escaped, host_of, joined
from keyfob.updates.versions import Version, newer, normalised, parsed

GITHUB = "https://api.github.com"
PAGE = 30  # releases that are asked for
BODY_MOST = 16 * 1024 * 1024  # bytes: a release may list a hundred files
NOTES_MOST = 100_000  # characters
ASSETS_MOST = 500
HOPS = 3  # a renamed repository redirects
WAIT_LEAST = timedelta(minutes=1)  # GitHub's wish after a limit without a time
WAIT_MOST = timedelta(hours=2)
_MOVED = (301, 302, 307, 308)
_SHA256 = re.compile(r"sha256:(?P<hex>[0-9A-Fa-f]{64})\Z")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of a release. `size` in bytes. `sha256` in hex; None if the feed has no checksum of it."""

    name: str
    url: str
    size: int | None
    sha256: str | None
    content_type: str | None


@dataclass(frozen=True, slots=True)
class Release:
    """One release. `version` is `tag` without what stands around the number. `notes` are Markdown from
    outside, `page` is an address for the browser, `published_at` is UTC.
    """

    version: str
    tag: str
    name: str
    notes: str
    published_at: datetime | None
    page: str | None
    prerelease: bool
    assets: tuple[Asset, ...]


class ReleaseFeeds:
    """Thread-safe; each call blocks on the network, unless `max_age` says that it need not."""

    def __init__(
        self,
        folder: Path,
        *,
        token: Callable[[], Secret | None] = lambda: None,
        github: str = GITHUB,
        transport: Transport | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`folder`: for what was answered. `token`: the user's GitHub token, if they have connected an
        account; asked for when it is needed. `github`: the origin that it may go to. `transport` and `clock`:
        by default the system's.
        """
        self._cache = FeedCache(folder)
        self._token = token
        self._github = github
        self._own_transport = transport
        self._own_clock = clock

    def newest(
        self,
        feed: str,
        *,
        pre: bool = False,
        wanted: Callable[[Release], bool] = lambda _: True,
        max_age: timedelta = timedelta(0),
    ) -> Release | None:
        """The newest release at `feed` that is `wanted`, with pre-releases only by choice; None if there is
        none. Without pre-releases GitHub's own choice of the latest one counts, as among its last releases
        there may be only pre-releases. Raises what `releases` raises.
        """
        if not pre and origin_of(feed) == self._github:
            with suppress(NotFound):
                latest = _release_in(self._json(f"{feed}/latest", max_age))
                if latest is not None and wanted(latest):
                    return latest
        found = self.releases(feed, max_age=max_age)
        return newest_of(each for each in found if wanted(each) and (pre or not each.prerelease))

    def releases(self, feed: str, *, max_age: timedelta = timedelta(0)) -> tuple[Release, ...]:
        """The last releases at `feed`, drafts left out, in its order. What was answered less than `max_age`
        ago is not asked for again.

        Raises Transient (`network_unreachable`, `network_timeout`, `captive_portal`, `provider_unavailable`,
        and `rate_limited` or, if no token was sent, `feed_limited`, with the time from which it takes
        requests again), NotFound `feed_not_found`, PeerFault `response_invalid`, SettingWrong
        (`tls_untrusted`, `endpoint_unsafe`).
        """
        address = f"{feed}?per_page={PAGE}" if origin_of(feed) == self._github else feed
        data = self._json(address, max_age)
        if not isinstance(data, list):
            raise _not_a_feed(feed)
        return tuple(release for each in data if (release := _release_in(each)) is not None)

    def asked_at(self, feed: str) -> datetime | None:
        """When `feed` was asked last with success (UTC)."""
        names = (f"{feed}/latest", f"{feed}?per_page={PAGE}", feed)
        return max((kept.at for name in names if (kept := self._cache.get(name)) is not None), default=None)

    def _json(self, address: str, max_age: timedelta) -> Json:
        kept, now = self._cache.get(address), self._clock()
        if kept is not None and timedelta(0) <= now - kept.at < max_age:
            return kept.data
        answer = self._answer(address, None if kept is None else kept.etag)
        if answer.status == 304 and kept is not None:
            self._cache.put(address, Kept(kept.etag, now, kept.data))
            return kept.data
        try:
            data = _trimmed(parse_json(answer.body))
        except NotStrictError:
            if is_web_page(answer):
                raise Transient(
                    f"{host_of(address)} answered with a web page", code="captive_portal", answered=True
                ) from None
            raise _not_a_feed(address) from None
        self._cache.put(address, Kept(answer.headers.get("etag"), now, data))
        return data

    def _answer(self, address: str, etag: str | None) -> Response:
        """200 or 304; anything else is an error."""
        token = self._token() if origin_of(address) == self._github else None
        who = f"{origin_of(address)} {'with a token' if token else 'without'}"
        until = self._cache.wait_until(who)
        if until is not None and until > self._clock():
            raise self._limited(address, until, bool(token))
        answer = self._sent(address, etag, token)
        if answer.status == 401 and token is not None:
            token = None  # it was withdrawn or expired; the feed may be public
            answer = self._sent(address, etag, None)
        if answer.status in (200, 304):
            return answer
        if answer.status == 429 or (answer.status == 403 and _is_limit(answer)):
            until = _until(answer)
            self._cache.put_wait(who, until)
            raise self._limited(address, until, bool(token))
        if answer.status in (404, 410):
            raise NotFound(f"{host_of(address)} has no releases at this address", code="feed_not_found")
        raise failure(answer, f"The release feed of {host_of(address)}", who=host_of(address))

    def _sent(self, address: str, etag: str | None, token: Secret | None) -> Response:
        to = escaped(address)
        for _ in range(HOPS + 1):
            headers = {"Accept": "application/vnd.github+json, application/json;q=0.9"}
            if etag is not None:
                headers["If-None-Match"] = etag
            if origin_of(to) == self._github:
                headers["X-GitHub-Api-Version"] = "2022-11-28"
                if token is not None:
                    headers["Authorization"] = f"Bearer {token.reveal()}"
            answer = self._transport.send(Request("GET", to, "update", headers))
            location = answer.headers.get("location")
            if answer.status not in _MOVED or location is None:
                return answer
            before, to = to, joined(to, location)
            if fault_of(to, most=ADDRESS_MOST) is not None or leads_inside(to, before):
                raise PeerFault(
                    f"{host_of(before)} sends the request to an address that cannot be used",
                    code="response_invalid",
                )
        raise Transient(f"{host_of(address)} redirects too often", answered=True)

    def _limited(self, address: str, until: datetime, with_token: bool) -> KeyfobError:
        return Transient(
            f"{host_of(address)} takes no more requests",
            code="rate_limited" if with_token or origin_of(address) != self._github else "feed_limited",
            retry_after=until - self._clock(),
            until=until,
            answered=True,
        )

    @property
    def _transport(self) -> Transport:
        if self._own_transport is None:
            from keyfob.adapters.network.transport import HttpTransport

            self._own_transport = HttpTransport(self._clock, body_most=BODY_MOST)
        return self._own_transport

    def _clock(self) -> datetime:
        if self._own_clock is None:
            from keyfob.adapters.system.clock import now

            self._own_clock = now
        return self._own_clock()


def newest_of(releases: Iterable[Release]) -> Release | None:
    """The one with the highest version. Of releases that cannot be compared, the first counts: feeds list the
    newest first.
    """
    best: Release | None = None
    order: Version | None = None
    for each in releases:
        version = parsed(each.version)
        first = best is None or (order is None and version is not None)
        if first or (version is not None and order is not None and newer(version, order)):
            best, order = each, version
    return best


def _is_limit(answer: Response) -> bool:
    """GitHub answers 403 both for a limit and for what may not be seen (its "Rate limits for the REST
    API").
    """
    if is_cloudflare(answer):
        return False
    headers = answer.headers
    spent = headers.get("x-ratelimit-remaining") == "0"
    return spent or "retry-after" in headers or b"rate limit" in answer.body


def _until(answer: Response) -> datetime:
    wait = retry_after(answer)
    reset = answer.headers.get("x-ratelimit-reset", "")
    if (
        wait is None
        and answer.headers.get("x-ratelimit-remaining") == "0"
        and re.fullmatch("[0-9]{1,11}", reset)
    ):
        wait = datetime.fromtimestamp(int(reset), UTC) - answer.at
    return answer.at + min(max(wait or WAIT_LEAST, WAIT_LEAST), WAIT_MOST)


def _not_a_feed(address: str) -> PeerFault:
    return PeerFault(
        f"{host_of(address)} answered with something that is not a list of releases", code="response_invalid"
    )


# --- what a feed says ---------------------------------------------------------------------------------------

_USED = ("tag_name", "name", "body", "draft", "prerelease", "published_at", "html_url")
_USED_OF_ASSETS = ("name", "browser_download_url", "size", "digest", "content_type", "state")


def _trimmed(data: Json) -> Json:
    """What is used of an answer: the rest is many times as much."""
    if isinstance(data, list):
        return [_trimmed(each) for each in data if isinstance(each, dict)]
    if not isinstance(data, dict):
        return data
    found = {name: data[name] for name in _USED if name in data}
    assets = data.get("assets")
    found["assets"] = [
        {name: each[name] for name in _USED_OF_ASSETS if name in each}
        for each in (assets if isinstance(assets, list) else [])[:ASSETS_MOST]
        if isinstance(each, dict)
    ]
    return found


def _release_in(data: Json) -> Release | None:
    """A release as it is shown; None for a draft, and for what has no tag."""
    if not isinstance(data, dict) or data.get("draft") is True:
        return None
    tag = plain(_text(data, "tag_name"), 100)
    if not tag:
        return None
    version, page = normalised(tag), _text(data, "html_url")
    order = parsed(tag)
    return Release(
        version,
        tag,
        plain(_text(data, "name"), 200) or tag,
        _notes(_text(data, "body")),
        _moment(_text(data, "published_at")),
        page if fault_of(page) is None else None,
        data.get("prerelease") is True or (order is not None and order.prerelease),
        tuple(asset for each in data.get("assets") or () if (asset := _asset_in(each)) is not None),
    )


def _asset_in(data: Json) -> Asset | None:
    if not isinstance(data, dict) or data.get("state", "uploaded") != "uploaded":
        return None
    name, url = plain(_text(data, "name")), _text(data, "browser_download_url")
    if not name or fault_of(escaped(url), most=ADDRESS_MOST) is not None:
        return None
    size = data.get("size")
    digest = _SHA256.match(_text(data, "digest"))
    return Asset(
        name,
        url,
        size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
        None if digest is None else digest["hex"].lower(),
        plain(_text(data, "content_type"), 100) or None,
    )


def _text(data: Mapping[str, Json], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def _notes(text: str) -> str:
    return "\n".join(inert(line) for line in text[:NOTES_MOST].splitlines())


def _moment(text: str) -> datetime | None:
    with suppress(ValueError, OverflowError):
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return None
