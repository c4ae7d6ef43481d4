"""The flow of a request, as the authentication classes of httpx and httpx2 have it. The two libraries have
the same interface and different types.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, MutableMapping
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from keyfob.client.auth_flow import AuthFlow, Credentials
from keyfob.client.tokens import check_account


class RequestLike(Protocol):
    """What the flow reads of a request."""

    method: str
    url: Any  # the library's URL; its `str` is the text

    @property
    def headers(self) -> MutableMapping[str, str]:
        """Names in any case."""

    @property
    def stream(self) -> object:
        """The body."""


class ResponseLike(Protocol):
    """What the flow reads of a response."""

    status_code: int

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in any case."""


RequestT = TypeVar("RequestT", bound=RequestLike)
ResponseT = TypeVar("ResponseT", bound=ResponseLike)


class HttpxFlows(Generic[RequestT, ResponseT]):
    """`sync_auth_flow` and `async_auth_flow` for an account. Under asyncio nothing blocks the loop: the
    agent is asked on a thread. A body that is read as it is sent cannot be sent twice: its 401 stands.
    """

    address: ClassVar[Callable[[str], object]]  # makes the library's URL
    repeatable: ClassVar[type]  # the library's body that can be sent twice

    def __init__(self, account: str) -> None:
        self.account = check_account(account)

    def sync_auth_flow(self, request: RequestT) -> Generator[RequestT, ResponseT, None]:
        """The library sends what this yields, and sends the response back into it."""
        flow = AuthFlow(self.account, request.method, str(request.url))
        while True:
            self._put(request, flow.credentials())
            response = yield request
            if not self._repeats(flow, request, response):
                return

    async def async_auth_flow(self, request: RequestT) -> AsyncGenerator[RequestT, ResponseT]:
        """As `sync_auth_flow`, for asyncio."""
        flow = AuthFlow(self.account, request.method, str(request.url))
        while True:
            self._put(request, await asyncio.to_thread(flow.credentials))
            response = yield request
            if not self._repeats(flow, request, response):
                return

    def _put(self, request: RequestT, credentials: Credentials) -> None:
        credentials.put_into(request.headers)
        if credentials.url != str(request.url):
            request.url = type(self).address(credentials.url)

    def _repeats(self, flow: AuthFlow, request: RequestT, response: ResponseT) -> bool:
        return isinstance(request.stream, self.repeatable) and flow.repeats(
            response.status_code, response.headers
        )
