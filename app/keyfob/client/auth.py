"""The class `keyfob.Auth`: the account's credentials on each request of httpx."""

from __future__ import annotations

from keyfob.client.tokens import credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping
    from typing import Any

    import httpx

    from keyfob.core.repeats import Repeats

    _Again = tuple[str | None, str | None]

# The API's defaults give way to the caller's.
_CALLERS_OWN = frozenset({"accept", "content-type", "user-agent"})


def make_auth() -> type:
    """The class `keyfob.Auth`, made when it is first asked for: it is
    httpx's, and httpx costs 60 ms to import.
    """
    import httpx

    from keyfob.core.repeats import Repeats

    class Auth(httpx.Auth):
        """Puts the account's credentials on each request; on a 401 asks once for a replacement and repeats.

            httpx.Client(auth=keyfob.Auth("github"))

        For requests to the provider's own API: any other address is refused (`host_not_allowed`). Under
        asyncio nothing blocks the loop: the asking happens on a thread. A body that is read as it is sent
        cannot be sent twice: its 401 stands. With `follow_redirects`, httpx removes `Authorization` if a
        redirect leaves the host, but not a key in another header: leave it off for such APIs.
        """

        def __init__(self, account: str) -> None:
            self.account = account

        def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            url = str(request.url)
            again: _Again | None = (None, None)
            repeats = Repeats()
            while again is not None:
                used = _put(request, credentials(self.account, request.method, url, *again), url)
                response = yield request
                again = _again(request, response, used, repeats)

        async def async_auth_flow(
            self, request: httpx.Request
        ) -> AsyncGenerator[httpx.Request, httpx.Response]:
            import asyncio

            url = str(request.url)
            again: _Again | None = (None, None)
            repeats = Repeats()
            while again is not None:
                told = await asyncio.to_thread(credentials, self.account, request.method, url, *again)
                used = _put(request, told, url)
                response = yield request
                again = _again(request, response, used, repeats)

    return Auth


def _put(request: httpx.Request, told: Mapping[str, Any], url: str) -> str:
    """Set the headers, or the address if the token goes into its query; return the token."""
    import httpx

    for name, value in told["headers"].items():
        if name.lower() not in _CALLERS_OWN or name not in request.headers:
            request.headers[name] = value
    if told["url"] != url:
        request.url = httpx.URL(told["url"])
    return str(told["token"])


def _again(request: httpx.Request, response: httpx.Response, used: str, repeats: Repeats) -> _Again | None:
    """The nonce and the refused token to try again with, None if the answer stands."""
    import httpx

    if not isinstance(request.stream, httpx.ByteStream):
        return None
    reason = repeats.reason(response.status_code, response.headers)
    if reason is None:
        return None
    return response.headers.get("dpop-nonce"), used if reason == "token" else None
