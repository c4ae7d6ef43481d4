"""Performs a flow's effects for real, without the app around it: requests through the app's own transport,
the browser played by a `Person`, the callback judged by the app's own rules.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from keyfob.adapters.network.transport import HttpTransport
from keyfob.adapters.system import clock
from keyfob.adapters.system.entropy import entropy
from keyfob.core.grant import Grant
from keyfob.core.http import Callback, Request
from keyfob.core.secret import Secret
from keyfob.protocol.effects import AwaitCallback, Effect, Keep, OpenBrowser, Send, ShowCode, Wait
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.oauth.callback import Accepted, read_paste

T = TypeVar("T")


class Live:
    """One process's worth of protocol state (nonces, keys), and what the flows did with it."""

    def __init__(self, visit: Callable[[str], str] | None = None, *, redirect_uri: str = "") -> None:
        """`visit` goes to an address and returns the one that the browser came back to."""
        self.env = FlowEnv(self.new_id, self.now)
        self.requests: list[Request] = []
        self.kept: list[Grant] = []
        self.shown: list[ShowCode] = []
        self.waited: list[float] = []
        self.on_wait: Callable[[], object] = lambda: None
        self.on_code: Callable[[ShowCode], object] = lambda shown: None
        self._transport = HttpTransport(clock.now)
        self._visit, self._redirect_uri, self._came_back = visit, redirect_uri, ""

    now = staticmethod(clock.now)

    @staticmethod
    def new_id() -> str:
        return entropy(16)

    @staticmethod
    def secret() -> Secret:
        """A fresh state, nonce or verifier (43 characters)."""
        return Secret(entropy(32))

    def perform(self, flow: Generator[Effect, Any, T]) -> T:
        result: Any = None
        failure: Exception | None = None
        while True:
            try:
                effect = flow.send(result) if failure is None else flow.throw(failure)
            except StopIteration as end:
                value: T = end.value
                return value
            result = failure = None
            try:
                result = self._do(effect)
            except Exception as error:
                failure = error

    def _do(self, effect: Effect) -> Any:
        match effect:
            case Send(request):
                self.requests.append(request)
                return self._transport.send(request)
            case OpenBrowser(url):
                assert self._visit is not None
                self._came_back = self._visit(url.reveal())
            case AwaitCallback(expectation):
                accepted: Accepted = read_paste(
                    self._came_back, form=None, redirect_uri=self._redirect_uri, expectation=expectation
                )
                return Callback(accepted.params, clock.now())
            case ShowCode():
                self.shown.append(effect)
                self.on_code(effect)
            case Wait(span):
                self.waited.append(span.total_seconds())
                self.on_wait()
                time.sleep(min(span.total_seconds(), 0.05))
            case Keep(grant):
                self.kept.append(grant)
        return None
