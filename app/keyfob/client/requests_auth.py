"""`keyfob.RequestsAuth`: an account's credentials on each request of requests."""

from __future__ import annotations

from functools import partial
from typing import Any

import requests
from requests.auth import AuthBase
from requests.cookies import extract_cookies_to_jar

from keyfob.client.auth_flow import AuthFlow
from keyfob.client.tokens import check_account


class RequestsAuth(AuthBase):
    """Puts the account's credentials on each request. After a 401, asks once for a new token and sends the
    request again.

        requests.get("https://api.github.com/user", auth=keyfob.RequestsAuth("github"))

    For requests to the provider's own API: any other address is refused (`host_not_allowed`). If a redirect
    leads to another address, a 401 there stands. requests removes `Authorization` if a redirect leaves the
    host, but not a key in another header: use `allow_redirects=False` for such APIs. Raises
    `keyfob.KeyfobError`. Thread-safe.
    """

    def __init__(self, account: str) -> None:
        self.account = check_account(account)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Called by requests before it sends."""
        flow = AuthFlow(self.account, request.method or "GET", request.url or "")
        body: Any = request.body
        start: int | None = body.tell() if hasattr(body, "tell") else None
        _put(flow, request)
        answered = partial(_answered, flow, request.url, start)
        request.register_hook("response", answered)  # type: ignore[no-untyped-call]
        return request


def _put(flow: AuthFlow, request: requests.PreparedRequest) -> None:
    credentials = flow.credentials()
    credentials.put_into(request.headers)
    request.url = credentials.url


def _answered(
    flow: AuthFlow,
    url: str | None,
    start: int | None,
    response: requests.Response,
    **sending: Any,  # noqa: ANN401 - requests says how it sent the request, and its adapter takes the same
) -> requests.Response:
    """This response, or the one to the repeated request. `sending`: how requests sent the first."""
    # After a redirect the same hook sees another address. The account's token must not go there.
    while response.request.url == url and _can_send_again(response.request, start):
        if not flow.repeats(response.status_code, response.headers):
            break
        response.content  # noqa: B018 - read to its end, the connection can be used again
        response.close()
        again: Any = response.request.copy()
        if start is not None:
            again.body.seek(start)
        cookies = again._cookies  # noqa: SLF001 - as requests' own digest authentication does
        extract_cookies_to_jar(cookies, response.request, response.raw)  # type: ignore[no-untyped-call]
        again.prepare_cookies(cookies)
        again.url = flow.url
        _put(flow, again)
        url = again.url
        following: requests.Response = response.connection.send(again, **sending)
        following.history.append(response)
        following.request = again
        response = following
    return response


def _can_send_again(request: requests.PreparedRequest, start: int | None) -> bool:
    return start is not None or request.body is None or isinstance(request.body, (str, bytes))
