"""The runner performs what a flow asks for, and looks at `cancel` before each effect but one."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from keyfob.core.errors import Fault, SignInEnded, Transient
from keyfob.core.grant import Grant
from keyfob.core.http import Request, Response
from keyfob.core.secret import Secret
from keyfob.protocol.effects import Flow, Keep, Send, Step
from keyfob.service.runner import EffectHandlers, Runner

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
GRANT = Grant(Secret("at"), AT)
REQUEST = Request("POST", "https://id.example/token", "token", {})


class Answering:
    """A transport that answers, and calls `then` before the answer is handed on."""

    def __init__(self, then: threading.Event | None = None, failure: Exception | None = None) -> None:
        self.then, self.failure = then, failure
        self.sent: list[Request] = []

    def send(self, request: Request) -> Response:
        self.sent.append(request)
        if self.failure is not None:
            raise self.failure
        if self.then is not None:
            self.then.set()
        return Response(200, {}, b"", AT, request.url)


def receiving() -> Flow[str]:
    yield Send(REQUEST)
    yield Keep(GRANT)
    yield Step("checking")
    yield Send(REQUEST)
    return "done"


def test_effects_are_performed_in_order() -> None:
    seen: list[object] = []
    transport = Answering()
    handlers = EffectHandlers(keep=seen.append, step=seen.append)
    assert Runner(transport).run(receiving(), handlers) == "done"
    assert seen == [GRANT, "checking"]
    assert transport.sent == [REQUEST, REQUEST]


def test_what_was_received_is_kept_even_if_the_sign_in_was_cancelled() -> None:
    """Cancelled while the token request was sent: the grant must be known, or nobody could revoke it."""
    kept: list[Grant] = []
    steps: list[object] = []
    cancel = threading.Event()
    transport = Answering(then=cancel)
    with pytest.raises(SignInEnded) as ended:
        Runner(transport).run(receiving(), EffectHandlers(keep=kept.append, step=steps.append), cancel)
    assert ended.value.code == "cancelled"
    assert kept == [GRANT]
    assert steps == []
    assert len(transport.sent) == 1


def test_a_failed_effect_is_thrown_into_the_flow() -> None:
    def flow() -> Flow[str]:
        try:
            yield Send(REQUEST)
        except Transient:
            return "handled"
        return "sent"

    assert Runner(Answering(failure=Transient("no network"))).run(flow()) == "handled"


def test_a_grant_that_nobody_takes_is_a_bug() -> None:
    with pytest.raises(Fault):
        Runner(Answering()).run(receiving())
