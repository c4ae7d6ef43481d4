"""The way in: requests, answers and streams from one format to another.

A request goes from the caller's format to the upstream's. An answer comes back from the upstream's (`source`)
to the caller's (`target`). Responses is translated as an upstream's format only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from keyfob.gateway.llm import chat_answers, chat_reading, responses_answers, responses_writing
from keyfob.gateway.llm.errors import stream_error
from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.fields import Pair
from keyfob.gateway.llm.formats import TITLES, CannotTranslateError, Format, Json
from keyfob.gateway.llm.parts import Answer, Conversation
from keyfob.gateway.llm.pieces import Ended, Failed, Piece

_CUT: Final = Failed("The provider ended the answer before it was complete. Try again.", "server_error")
_GARBLED: Final = Failed("The provider sent an answer that Keyfob cannot read. Try again.", "server_error")


class _Reader(Protocol):
    def feed(self, event: Event) -> list[Piece]: ...


class _Writer(Protocol):
    def write(self, piece: Piece) -> list[Event]: ...


_READ_REQUEST: Final[dict[Format, Callable[[Json, Pair], Conversation]]] = {
    "openai_chat": chat_reading.conversation,
}
_WRITE_REQUEST: Final[dict[Format, Callable[[Conversation, str], Json]]] = {
    "openai_responses": responses_writing.request,
}
_READ_ANSWER: Final[dict[Format, Callable[[Json], Answer]]] = {
    "openai_responses": responses_answers.answer,
}
_WRITE_ANSWER: Final[dict[Format, Callable[[Answer], Json]]] = {
    "openai_chat": chat_answers.answer,
}
_READ_STREAM: Final[dict[Format, Callable[[], _Reader]]] = {
    "openai_responses": responses_answers.Reader,
}

_WRITE_STREAM: Final[dict[Format, Callable[[Json, int], _Writer]]] = {
    "openai_chat": chat_answers.Writer,
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
    return _WRITE_REQUEST[target](_READ_REQUEST[source](body, (source, target)), model)


def answer(body: Json, source: Format, target: Format, request: Json, *, created: int = 0) -> Json:
    """The whole answer of an upstream, in the caller's format. `request` is the caller's.

    `created` is the time in seconds since 1970, for an upstream that gives none.
    Raises AnswerFailedError if the answer reports a failure.
    """
    given = _READ_ANSWER[source](body)
    given.created = given.created or created
    given.model = given.model or str(request.get("model", ""))
    return _WRITE_ANSWER[target](given)


class StreamTranslator:
    """A stream of an upstream, as the caller's format has it. Not for several threads at once.

    `source`, `target`, `request` and `created` are as for `answer`.
    """

    def __init__(self, source: Format, target: Format, request: Json, *, created: int = 0) -> None:
        self._reader = _READ_STREAM[source]()
        self._writer = _WRITE_STREAM[target](request, created)
        self._target = target
        self._over = False

    def feed(self, event: Event) -> list[Event]:
        """The events for the caller. After an error in the stream, and after its end, there are none."""
        if self._over:
            return []
        try:
            pieces = self._reader.feed(event)
        except (ValueError, KeyError, TypeError, AttributeError):
            pieces = [_GARBLED]
        events: list[Event] = []
        for piece in pieces:
            events += self._writer.write(piece)
            if isinstance(piece, Ended | Failed):
                self._over = True
                break
        return events

    def end(self) -> list[Event]:
        """What is left to say when the upstream's stream is over: an error, if it was cut off."""
        if self._over:
            return []
        self._over = True
        return stream_error(_CUT, self._target)
