"""The way in: requests, answers and streams from one format to another.

A request goes from the caller's format to the upstream's. An answer comes back from the upstream's (`source`)
to the caller's (`target`). Responses is translated as an upstream's format only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from keyfob.gateway.llm import (
    chat_answers,
    chat_reading,
    chat_upstream,
    chat_writing,
    messages_answers,
    messages_reading,
    messages_upstream,
    messages_writing,
    responses_upstream,
    responses_writing,
)
from keyfob.gateway.llm.errors import CUT, GARBLED, AnswerFailedError
from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.fields import Pair
from keyfob.gateway.llm.formats import TITLES, CannotTranslateError, Format, Json
from keyfob.gateway.llm.parts import Answer, Conversation
from keyfob.gateway.llm.pieces import Alive, Began, Ended, Failed, Piece
from keyfob.gateway.llm.restoring import Tools

# What comes of a value of another kind than the format has at its place.
_MALFORMED: Final = (LookupError, TypeError, AttributeError, ValueError)


class _Reader(Protocol):
    def feed(self, event: Event) -> list[Piece]: ...
    def end(self) -> list[Piece]: ...


class _Writer(Protocol):
    def write(self, piece: Piece) -> list[Event]: ...


_READ_REQUEST: Final[dict[Format, Callable[[Json, Pair], Conversation]]] = {
    "openai_chat": chat_reading.conversation,
    "anthropic_messages": messages_reading.conversation,
}
_WRITE_REQUEST: Final[dict[Format, Callable[[Conversation, str], Json]]] = {
    "openai_chat": chat_writing.request,
    "openai_responses": responses_writing.request,
    "anthropic_messages": messages_writing.request,
}
_READ_ANSWER: Final[dict[Format, Callable[[Json], Answer]]] = {
    "openai_chat": chat_upstream.answer,
    "openai_responses": responses_upstream.answer,
    "anthropic_messages": messages_upstream.answer,
}
_WRITE_ANSWER: Final[dict[Format, Callable[[Answer, Json], Json]]] = {
    "openai_chat": chat_answers.answer,
    "anthropic_messages": messages_answers.answer,
}
_READ_STREAM: Final[dict[Format, Callable[[], _Reader]]] = {
    "openai_chat": chat_upstream.Reader,
    "openai_responses": responses_upstream.Reader,
    "anthropic_messages": messages_upstream.Reader,
}

_WRITE_STREAM: Final[dict[Format, Callable[[Json, int], _Writer]]] = {
    "openai_chat": chat_answers.Writer,
    "anthropic_messages": messages_answers.Writer,
}


def can(source: Format, target: Format) -> bool:
    """Whether requests of `source` can be sent to an upstream of `target`, another format."""
    return source in _READ_REQUEST and target in _WRITE_REQUEST and source != target


def request(body: Json, source: Format, target: Format, model: str) -> Json:
    """The request for the upstream, whose name of the model is `model`.

    Raises CannotTranslateError for what the upstream's format cannot say, and for a malformed request.
    """
    if not can(source, target):
        raise CannotTranslateError(
            "model",
            f"This model speaks {TITLES[target]}, and Keyfob does not translate {TITLES[source]} to that.",
        )
    try:
        return _WRITE_REQUEST[target](_READ_REQUEST[source](body, (source, target)), model)
    except (*_MALFORMED, RecursionError) as fault:
        raise CannotTranslateError("body", f"body must be a request of {TITLES[source]}.") from fault


def answer(body: Json, source: Format, target: Format, request: Json, *, created: int = 0) -> Json:
    """The whole answer of an upstream, in the caller's format. `request` is the caller's.

    `created` is the time in seconds since 1970, for an upstream that gives none.
    Raises AnswerFailedError if the answer reports a failure.
    """
    try:
        given = _READ_ANSWER[source](body)
    except _MALFORMED as fault:
        raise AnswerFailedError(GARBLED) from fault
    given.created = given.created or created
    given.model = given.model or str(request.get("model", ""))
    tools = Tools(request, source)
    given.parts = [tools.part(part) for part in given.parts]
    return _WRITE_ANSWER[target](given, request)


class StreamTranslator:
    """A stream of an upstream, as the caller's format has it. Not for several threads at once.

    `source`, `target`, `request` and `created` are as for `answer`.
    """

    def __init__(self, source: Format, target: Format, request: Json, *, created: int = 0) -> None:
        self._reader = _READ_STREAM[source]()
        self._writer = _WRITE_STREAM[target](request, created)
        self._tools = Tools(request, source)
        self._begun = False
        self._over = False

    def feed(self, event: Event) -> list[Event]:
        """The events for the caller. After an error in the stream, and after its end, there are none."""
        if self._over:
            return []
        try:
            pieces = self._reader.feed(event)
        except (*_MALFORMED, RecursionError):
            pieces = [GARBLED]
        return self._written(pieces)

    def _written(self, pieces: list[Piece]) -> list[Event]:
        events: list[Event] = []
        for piece in self._tools.pieces(pieces):
            if isinstance(piece, Began):
                if self._begun:
                    continue
                self._begun = True
            elif not self._begun and not isinstance(piece, Alive | Failed):
                events += self._written([Began("", "")])  # an upstream that leaves its first event out
            events += self._writer.write(piece)
            if isinstance(piece, Ended | Failed):
                self._over = True
                break
        return events

    def end(self) -> list[Event]:
        """What is left to say when the upstream's stream is over: an error, if it was cut off."""
        if self._over:
            return []
        return self._written([*self._reader.end(), CUT])
