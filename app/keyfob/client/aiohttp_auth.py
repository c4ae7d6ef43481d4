"""`keyfob.AiohttpAuth`: an account's credentials on each request of aiohttp."""

from __future__ import annotations

import asyncio

from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from yarl import URL

from keyfob.client.auth_flow import AuthFlow
from keyfob.client.tokens import check_account


class AiohttpAuth:
    """A client middleware that puts the account's credentials on each request. After a 401, it asks once for
    a new token and sends the request again. For aiohttp 3.12 and newer.

        aiohttp.ClientSession(middlewares=[keyfob.AiohttpAuth("github")])

    For requests to the provider's own API: any other address is refused (`host_not_allowed`), also if a
    redirect leads there. The loop is never blocked: the agent is asked on a thread. A body that is read as it
    is sent cannot be sent twice: its 401 stands. Requests raise `keyfob.KeyfobError`.
    """

    def __init__(self, account: str) -> None:
        self.account = check_account(account)

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Called by aiohttp for each request."""
        flow = AuthFlow(self.account, request.method, str(request.url))
        while True:
            credentials = await asyncio.to_thread(flow.credentials)
            credentials.put_into(request.headers)
            if credentials.url != str(request.url):
                request.url = URL(credentials.url, encoded=True)
            response = await handler(request)
            if getattr(request.body, "consumed", False) or not flow.repeats(
                response.status, response.headers
            ):
                return response
            response.release()
