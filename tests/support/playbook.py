"""Performs a flow's effects from a script, in order, without a network, a browser or a clock.

    book = Playbook(sends("POST", TOKEN, gives=json_answer({...})), waits(5), ...)
    result = book.perform(flow)
    book.requests            # what the flow sent, to look into

A step that does not fit fails the test; so does a script that is not used up when the flow returns. A flow
that raises leaves `book.left` as it is, so that a test can assert what did not happen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from keyfob.core.grant import Grant
from keyfob.core.http import Callback, Request, Response
from keyfob.protocol import effects
from keyfob.protocol.context import FlowContext
from keyfob.protocol.effects import AwaitCallback, Effect, Keep, OpenBrowser, Send, ShowCode, Wait
from keyfob.protocol.env import FlowEnv

T = TypeVar("T")
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # when every script begins
ENV = FlowEnv(str, lambda: AT)  # for contexts that no script has taken over yet
Step = Callable[[Effect, "Playbook"], Any]


class Playbook:
    """One script. `now` is its clock: answers carry it, waiting moves it on."""

    def __init__(self, *steps: Step | tuple[Step, ...], at: datetime = AT) -> None:
        self.left = [one for step in steps for one in (step if isinstance(step, tuple) else (step,))]
        self.time = at
        self.effects: list[Effect] = []
        self._ids = 0
        self.env = FlowEnv(self.new_id, self.now)

    def now(self) -> datetime:
        return self.time

    def new_id(self) -> str:
        """A different, predictable text each time."""
        self._ids += 1
        return f"id-{self._ids}"

    def within(self, ctx: FlowContext) -> FlowContext:
        """`ctx` with this script's clock, identifiers, nonces and keys."""
        return replace(ctx, env=self.env)

    @property
    def requests(self) -> list[Request]:
        return [effect.request for effect in self.effects if isinstance(effect, Send)]

    @property
    def kept(self) -> list[Grant]:
        return [effect.grant for effect in self.effects if isinstance(effect, Keep)]

    @property
    def opened(self) -> list[str]:
        return [effect.url.reveal() for effect in self.effects if isinstance(effect, OpenBrowser)]

    def perform(self, flow: Generator[Effect, Any, T]) -> T:
        """Run the flow to its end and return its value; what it raises comes out as it is."""
        try:
            effect = next(flow)
            while True:
                self.effects.append(effect)
                assert self.left, f"the script is over, and the flow wants {_told(effect)}"
                step = self.left.pop(0)
                try:
                    result = step(effect, self)
                except AssertionError:
                    raise
                except Exception as failure:
                    effect = flow.throw(failure)
                else:
                    effect = flow.send(result)
        except StopIteration as end:
            assert not self.left, f"the flow ended with {len(self.left)} steps of the script to go"
            value: T = end.value
            return value


def _told(effect: Effect) -> str:
    if isinstance(effect, Send):
        return f"{effect.request.method} {effect.request.url}"
    return type(effect).__name__


@dataclass(frozen=True)
class Answer:
    """What a request gets. `at` is filled in by the script's clock."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(data: Any, status: int = 200, **headers: str) -> Answer:
    """A JSON body; header names with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, json.dumps(data).encode(), {"content-type": "application/json", **named})


def form_of(request: Request) -> dict[str, str]:
    """A form body's fields; fails where one comes twice."""
    pairs = parse_qsl((request.body or b"").decode(), keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def sends(
    method: str,
    url: str,
    *,
    gives: Answer | Exception,
    form: Mapping[str, str] | None = None,
    check: Callable[[Request], object] | None = None,
) -> Step:
    """A request to exactly this address. `form`: fields that its body must have (others may be there);
    `check`: looks into the request and asserts."""

    def step(effect: Effect, book: Playbook) -> Response:
        assert isinstance(effect, Send), f"expected {method} {url}, not {_told(effect)}"
        request = effect.request
        assert (request.method, request.url) == (method, url)
        if form is not None:
            assert {**form_of(request), **form} == form_of(request)
        if check is not None:
            check(request)
        if isinstance(gives, Exception):
            raise gives
        return Response(gives.status, gives.headers, gives.body, book.time, request.url)

    return step


def waits(seconds: float) -> Step:
    """A wait of exactly this long, by which the script's clock moves on."""

    def step(effect: Effect, book: Playbook) -> None:
        assert isinstance(effect, Wait), f"expected a wait, not {_told(effect)}"
        assert effect.span == timedelta(seconds=seconds)
        book.time += effect.span

    return step


def opens(check: Callable[[str], object] | None = None) -> Step:
    """The browser opens; `check` looks at the address."""

    def step(effect: Effect, book: Playbook) -> None:
        assert isinstance(effect, OpenBrowser), f"expected the browser, not {_told(effect)}"
        if check is not None:
            check(effect.url.reveal())

    return step


def comes_back(*, check: Callable[[AwaitCallback], object] | None = None, **params: str) -> Step:
    """The authorization response arrives with these parameters."""

    def step(effect: Effect, book: Playbook) -> Callback:
        assert isinstance(effect, AwaitCallback), f"expected to wait for the callback, not {_told(effect)}"
        if check is not None:
            check(effect)
        return Callback(params, book.time)

    return step


def fails(kind: type[Effect], failure: Exception) -> Step:
    """An effect of this kind, which fails."""

    def step(effect: Effect, book: Playbook) -> None:
        assert isinstance(effect, kind), f"expected {kind.__name__}, not {_told(effect)}"
        raise failure

    return step


def shows(code: ShowCode) -> Step:
    """A device code is shown, exactly this one."""

    def step(effect: Effect, book: Playbook) -> None:
        assert effect == code

    return step


def keeps(check: Callable[[Grant], object] | None = None) -> Step:
    """A grant is stored."""

    def step(effect: Effect, book: Playbook) -> None:
        assert isinstance(effect, Keep), f"expected to keep a grant, not {_told(effect)}"
        if check is not None:
            check(effect.grant)

    return step


def kept(step: Step) -> tuple[Step, Step]:
    """A request, and that what it gives is kept before anything else happens."""
    return step, keeps()


def enters(stage: str) -> Step:
    """The sign-in comes to this stage."""

    def step(effect: Effect, book: Playbook) -> None:
        assert effect == effects.Step(stage)  # type: ignore[arg-type]

    return step


def later(answer: Answer, **headers: str) -> Answer:
    """The same answer with further headers (`_` for `-`)."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return replace(answer, headers={**answer.headers, **named})


def query_of(url: str) -> dict[str, str]:
    """An address's query; fails where a parameter comes twice."""
    pairs = parse_qsl(url.partition("?")[2], keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def form_answer(status: int = 200, **fields: str) -> Answer:
    return Answer(status, urlencode(fields).encode(), {"content-type": "application/x-www-form-urlencoded"})
