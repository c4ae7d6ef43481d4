"""`keyfob.Auth`: an account's credentials on each request of httpx. Importing this imports httpx (60 ms)."""

from __future__ import annotations

import httpx

from keyfob.client.httpx_flows import HttpxFlows


class Auth(HttpxFlows[httpx.Request, httpx.Response], httpx.Auth):
    """Puts the account's credentials on each request. After a 401, asks once for a new token and sends the
    request again.

        httpx.Client(auth=keyfob.Auth("github"))
        httpx.AsyncClient(auth=keyfob.Auth("github"))

    For requests to the provider's own API: any other address is refused (`host_not_allowed`). With
    `follow_redirects`, httpx removes `Authorization` if a redirect leaves the host, but not a key in another
    header: leave it off for such APIs. Requests raise `keyfob.KeyfobError`. Thread-safe.
    """

    address = httpx.URL
    repeatable = httpx.ByteStream
