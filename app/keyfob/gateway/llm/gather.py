"""A stream as one whole answer, for a caller who does not stream."""

from __future__ import annotations

import json
from collections.abc import Iterable

from keyfob.gateway.llm.errors import AnswerFailedError
from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.formats import Format, Json
from keyfob.gateway.llm.pieces import Failed
from keyfob.gateway.llm.responses_answers import failure

_CUT = Failed("The provider ended the answer before it was complete. Try again.", "server_error")


def gather(events: Iterable[Event], format: Format) -> Json:
    """The answer that the stream makes up, in the stream's own format.

    Raises AnswerFailedError if the stream reports a failure or ends too early.
    """
    if format != "openai_responses":
        raise ValueError("only a stream of Responses is gathered")
    return _responses(events)


def _responses(events: Iterable[Event]) -> Json:
    items: dict[int, Json] = {}
    for event in events:
        data = json.loads(event.data)
        match data.get("type") or event.name:
            case "response.output_item.done":
                items[data.get("output_index", len(items))] = data["item"]
            case "response.completed" | "response.incomplete":
                whole: Json = data["response"]
                # The Codex channel leaves the output out of its last event.
                if not whole.get("output"):
                    whole["output"] = [items[index] for index in sorted(items)]
                return whole
            case "response.failed":
                raise AnswerFailedError(failure(data["response"]))
            case "error":
                raise AnswerFailedError(failure({"error": data.get("error") or data}))
    raise AnswerFailedError(_CUT)
