"""Requests to the API of Nexus Mods, as one account.

`keyfob.Auth` puts the token or key on each request, and replaces it once after a 401: this file never sees
one. The site asks for a name and a version on each request, and for one or two requests a second at most.
Each answer says how many requests are left. Blocks; thread-safe, one request at a time.
"""

from __future__ import annotations

import contextlib
import json
import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import keyfob
from keyfob.core.errors import KeyfobError, NotFound, PeerFault, SignInNeeded, Transient
from keyfob.core.text import plain
from keyfob.core.untyped import Json
from keyfob.nexus.limits import limits_of
from keyfob.nexus.models import Limits

if TYPE_CHECKING:
    import httpx

NAME = "Keyfob"
PAUSE = 0.6  # seconds between the starts of two requests
TIMEOUT = 20.0  # seconds for each step of a request
DEADLINE = 60.0  # seconds for a whole answer
BODY_MOST = 32 * 1024 * 1024  # bytes; the list of all games has about two million
WAIT_MOST = 10.0  # seconds that a 429 is waited for; a longer wait is the caller's to know
TRIES = 4
HOPS = 3


class ApiRefused(Transient):
    """The API refused a request. `status`: 400, 403, 404 or 422, mostly."""

    def __init__(self, status: int, words: str) -> None:
        said = f": {words}" if words else f" (HTTP status {status})"
        super().__init__(f"Nexus Mods refused the request{said}", code="request_refused", answered=True)
        self.status = status
        self.words = words


class Answer(NamedTuple):
    """What came back. `headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Api:
    """`base`: scheme and host, without a path."""

    def __init__(
        self,
        account: str,
        base: str,
        *,
        pause: float = PAUSE,
        on_limits: Callable[[Limits], None] = lambda _: None,
    ) -> None:
        self.account = account
        self.base = base
        self.limits = Limits()
        self._pause = pause
        self._on_limits = on_limits
        self._last = -pause
        self._turn = threading.Lock()
        self._client: httpx.Client | None = None

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Json:
        """The JSON at a path such as `/v1/games`. Raises ApiRefused, and any other KeyfobError."""
        return self._send("GET", path, params, None)

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Json:
        """The JSON that a POST or DELETE with a JSON body answers. Raises as `get`."""
        return self._send(method, path, None, json.dumps(body).encode())

    def graphql(self, query: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """The `data` of a query to the v2 API. Errors come with status 200 there. Raises PeerFault
        `response_invalid` for these, and as `get`.
        """
        answer = self.send("POST", "/v2/graphql", {"query": query, "variables": dict(variables)})
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, dict):
            raise PeerFault("Nexus Mods did not answer the query", code="response_invalid")
        return data

    def close(self) -> None:
        """Ends the connections. A later request opens new ones."""
        with self._turn:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    # --- one request ----------------------------------------------------------------------------------------

    def _send(self, method: str, path: str, params: Mapping[str, str] | None, body: bytes | None) -> Json:
        with self._turn:
            for attempt in range(1, TRIES + 1):
                self._refuse_used_up()
                self._wait_for_turn()
                answer = self._exchange(method, path, params, body)
                self.limits = limits_of(answer.headers, self.limits)
                self._on_limits(self.limits)
                if answer.status != 429:
                    return _content(answer, self.account)
                self._refuse_used_up()
                wait = _retry_after(answer.headers)
                if attempt == TRIES or wait > WAIT_MOST:
                    break
                time.sleep(wait)
            raise Transient(
                "Nexus Mods asked Keyfob to wait",
                code="rate_limited",
                retry_after=timedelta(seconds=wait),
                until=datetime.now(UTC) + timedelta(seconds=wait),
                answered=True,
            )

    def _refuse_used_up(self) -> None:
        limits = self.limits
        again = min(filter(None, (limits.hourly_resets_at, limits.daily_resets_at)), default=None)
        if limits.used_up and (again is None or again > datetime.now(UTC)):
            raise Transient(
                "The requests that Nexus Mods allows are used up",
                code="rate_limited",
                until=again,
                answered=True,
            )

    def _wait_for_turn(self) -> None:
        ahead = self._last + self._pause - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        self._last = time.monotonic()

    def _exchange(
        self, method: str, path: str, params: Mapping[str, str] | None, body: bytes | None
    ) -> Answer:
        url, query = f"{self.base}{path}", params
        for _ in range(HOPS + 1):
            with _network_errors(), self._http().stream(method, url, params=query, content=body) as response:
                answer = Answer(response.status_code, dict(response.headers), _read(response))
            location = answer.headers.get("location")
            if answer.status not in (301, 302, 307, 308) or location is None or method != "GET":
                return answer
            # `keyfob.Auth` refuses hosts that are not the provider's; another origin is not even asked about.
            url, query = urljoin(str(response.url), location), None
            if urlsplit(url)[:2] != urlsplit(self.base)[:2]:
                break
        raise PeerFault("Nexus Mods redirects the API to another server", code="response_invalid")

    def _http(self) -> httpx.Client:
        if self._client is None:
            import httpx

            from keyfob.adapters.network.trust import tls_context

            headers = {
                "Application-Name": NAME,
                "Application-Version": keyfob.__version__,
                "User-Agent": f"{NAME}/{keyfob.__version__} ({platform.system()}; {platform.machine()})",
                "Accept": "application/json",
                "Content-Type": "application/json",
            }
            self._client = httpx.Client(
                auth=keyfob.Auth(self.account),
                headers=headers,
                timeout=TIMEOUT,
                verify=tls_context(),
                follow_redirects=False,
            )
        return self._client


@contextlib.contextmanager
def _network_errors() -> Iterator[None]:
    """What httpx raises, as errors of Keyfob."""
    import httpx

    try:
        yield
    except KeyfobError:
        raise
    except httpx.TimeoutException:
        raise Transient("Nexus Mods did not answer in time", code="network_timeout") from None
    except httpx.HTTPError as error:
        raise Transient(
            "Nexus Mods cannot be reached", code="network_unreachable", detail=type(error).__name__
        ) from None


def _read(response: httpx.Response) -> bytes:
    """The body, within its limits."""
    end, body = time.monotonic() + DEADLINE, bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > BODY_MOST:
            raise PeerFault("Nexus Mods sent too much", code="response_invalid")
        if time.monotonic() > end:
            raise Transient("Nexus Mods did not answer in time", code="network_timeout")
    return bytes(body)


def _retry_after(headers: Mapping[str, str]) -> float:
    """The seconds to wait: as told, else one second, as the vendor's own client does."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 7:
        return float(text)
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    return 1.0


# --- what an answer means -----------------------------------------------------------------------------------


def _content(answer: Answer, account: str) -> Json:
    """The JSON of a good answer. Raises the error that any other one is."""
    status, body = answer.status, answer.body.strip()
    if body[:1] == b"<":
        raise _page(answer)
    if status == 202:
        raise Transient("Nexus Mods did not finish the request in time", answered=True)
    if status >= 500 or body == b"Bad Gateway":
        raise Transient(f"Nexus Mods is not available right now (HTTP status {status})", answered=True)
    try:
        found: Json = json.loads(body) if body else None
    except (ValueError, RecursionError):
        raise PeerFault("Nexus Mods sent an answer that cannot be read", code="response_invalid") from None
    if status == 401:
        raise SignInNeeded(
            "Nexus Mods does not accept the sign-in", code="token_rejected", facts={"account": account}
        )
    if not 200 <= status < 300:
        raise ApiRefused(status, _words(found))
    if found is None:
        words = plain(answer.headers.get("nexuserrorinfo", ""), 160)
        raise Transient(f"Nexus Mods sent an empty answer{': ' if words else ''}{words}", answered=True)
    return found


def _page(answer: Answer) -> Transient:
    """A web page in place of the API's answer: of Cloudflare, which stands before the site, or of a network
    that wants a sign-in.
    """
    page = answer.body[:20_000].lower()
    marked = any("cloudflare" in answer.headers.get(name, "").lower() for name in ("server", "via"))
    if marked or "cf-ray" in answer.headers or b"cloudflare" in page or b"just a moment" in page:
        return Transient(
            "Cloudflare, which protects Nexus Mods, stopped the request", code="bot_check", answered=True
        )
    if answer.status >= 500:
        return Transient(
            f"Nexus Mods is not available right now (HTTP status {answer.status})", answered=True
        )
    return Transient(
        "A web page came instead of an answer of Nexus Mods", code="captive_portal", answered=True
    )


def _words(found: Json) -> str:
    """What the API says of an error: the key's name differs from error to error."""
    if isinstance(found, dict):
        for name in ("message", "error", "msg", "detail", "title"):
            if isinstance(found.get(name), str):
                return plain(found[name], 200).rstrip(".")
    return ""


def not_found(error: ApiRefused, what: str) -> KeyfobError:
    """The error for somebody who named `what`, if the API does not have it; else `error`."""
    return (
        NotFound(f"Nexus Mods does not have {what}", code="nexus_not_found") if error.status == 404 else error
    )
