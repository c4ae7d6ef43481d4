"""Performs the effects that flows ask for.

One `run` drives one flow to its end on the calling thread. Failures of an effect are thrown into the flow,
which may handle them. `cancel` is checked before each effect except `Keep`. Renewals run without
it, because they are never cancelled after their request may have left.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar, assert_never

from keyfob.core.errors import Fault, KeyfobError, SignInEnded
from keyfob.core.grant import Grant
from keyfob.core.http import Callback, Request, Response
from keyfob.core.secret import Secret
from keyfob.core.words import Stage
from keyfob.ports import Transport
from keyfob.protocol.effects import (
    AwaitCallback,
    Effect,
    Expectation,
    Flow,
    Keep,
    OpenBrowser,
    Send,
    ShowCode,
    Step,
    Wait,
)
from keyfob.protocol.http.redaction import silence

T = TypeVar("T")
log = logging.getLogger(__name__)
Watcher = Callable[[Request, Response | KeyfobError], None]
_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


def _no_keep(_grant: Grant) -> None:
    raise Fault("A flow asked to save a grant, and this runner saves none")


def _no_browser(_url: Secret) -> None:
    raise Fault("A flow asked for a browser, and this runner has none")


def _no_callback(_expectation: Expectation) -> Callback:
    raise Fault("A flow waits for a browser, and this runner has no listener")


def _no_code(_code: ShowCode) -> None:
    raise Fault("A flow shows a code, and this runner shows none")


@dataclass(frozen=True, slots=True)
class EffectHandlers:
    """What is done for the effects that need more than the network. Unset ones are a bug to ask for."""

    keep: Callable[[Grant], None] = _no_keep
    open_browser: Callable[[Secret], None] = _no_browser
    await_callback: Callable[[Expectation], Callback] = _no_callback
    show_code: Callable[[ShowCode], None] = _no_code
    step: Callable[[Stage], None] = lambda _stage: None


class Runner:
    """Stateless and thread-safe; each run belongs to its caller's thread."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def run(
        self,
        flow: Flow[T],
        handlers: EffectHandlers | None = None,
        cancel: threading.Event | None = None,
        *,
        plain_host: str | None = None,
    ) -> T:
        """The flow's value. `plain_host`: the host that may be asked without TLS. Raises what the flow
        raises; SignInEnded `cancelled` if `cancel` was set.
        """
        handlers = handlers or EffectHandlers()
        sent: list[Request] = []
        try:
            effect: Effect = next(flow)
            while True:
                try:
                    # A received grant is kept even then: otherwise nobody could revoke it.
                    if cancel is not None and cancel.is_set() and not isinstance(effect, Keep):
                        raise SignInEnded("The sign-in was cancelled")
                    if isinstance(effect, Send):
                        effect = Send(replace(effect.request, plain_host=plain_host))
                        sent.append(effect.request)
                    result = self._perform(effect, handlers, cancel)
                except KeyfobError as error:
                    effect = flow.throw(error)
                else:
                    effect = flow.send(result)
        except StopIteration as end:
            value: T = end.value
            return value
        except KeyfobError as error:
            silence(error, sent)
            raise
        finally:
            flow.close()

    def _sent(self, request: Request) -> Response:
        note = _watcher.get()
        try:
            response = self._transport.send(request)
        except KeyfobError as error:
            if note is not None:
                note(request, error)
            raise
        if note is not None:
            note(request, response)
        return response

    def _perform(self, effect: Effect, handlers: EffectHandlers, cancel: threading.Event | None) -> object:
        match effect:
            case Send(request):
                return self._sent(request)
            case Keep(grant):
                handlers.keep(grant)
            case OpenBrowser(url):
                handlers.open_browser(url)
            case AwaitCallback(expectation):
                return handlers.await_callback(expectation)
            case ShowCode():
                handlers.show_code(effect)
            case Wait(span):
                pause(span, cancel)
            case Step(stage):
                handlers.step(stage)
            case _:
                assert_never(effect)
        return None


@contextmanager
def watched(by: Watcher) -> Iterator[None]:
    """Calls `by` for each request that a flow sends on this thread until the block ends."""
    token = _watcher.set(by)
    try:
        yield
    finally:
        _watcher.reset(token)


def pause(span: timedelta, cancel: threading.Event | None) -> None:
    """Lets `span` pass. Raises SignInEnded `cancelled` as soon as `cancel` is set."""
    event = cancel or threading.Event()
    if event.wait(max(span.total_seconds(), 0)):
        raise SignInEnded("The sign-in was cancelled")
