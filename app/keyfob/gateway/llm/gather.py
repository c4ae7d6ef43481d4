"""A stream as one whole answer, for a caller who does not stream."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from keyfob.gateway.llm import chat_answers, chat_upstream, messages_answers, messages_upstream
from keyfob.gateway.llm.errors import CUT, GARBLED, AnswerFailedError
from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.formats import Format, Json
from keyfob.gateway.llm.parts import Answer, Call, Part, Reasoning, Refusal, Text
from keyfob.gateway.llm.pieces import Began, Close, Ended, Failed, Key, More, Open, Piece
from keyfob.gateway.llm.responses_upstream import failure

_WITH_THOUGHTS: Final[Json] = {"thinking": {"type": "enabled"}}


def gather(events: Iterable[Event], format: Format) -> Json:
    """The answer that the stream makes up, in the stream's own format.

    Raises AnswerFailedError if the stream reports a failure, ends too early or cannot be read.
    """
    try:
        match format:
            case "openai_responses":
                return _responses(events)
            case "openai_chat":
                return chat_answers.answer(_collected(events, chat_upstream.Reader()), {})
            case "anthropic_messages":
                return messages_answers.answer(_collected(events, messages_upstream.Reader()), _WITH_THOUGHTS)
    except (ValueError, LookupError, TypeError, AttributeError) as fault:
        raise AnswerFailedError(GARBLED) from fault


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
    raise AnswerFailedError(CUT)


def _collected(events: Iterable[Event], reader: chat_upstream.Reader | messages_upstream.Reader) -> Answer:
    answer = Answer("", "", [], "stop")
    parts: dict[Key, Part] = {}
    texts: dict[Key, list[str]] = {}
    for piece in _pieces(events, reader):
        match piece:
            case More(key, text):
                texts[key].append(text)
            case Open(key, part):
                parts[key], texts[key] = part, []
            case Close(key, Reasoning() as part):
                parts[key] = part
            case Began():
                answer.answer_id, answer.model, answer.created = piece.answer_id, piece.model, piece.created
            case Failed():
                raise AnswerFailedError(piece)
            case Ended():
                answer.ending, answer.usage, answer.stop_sequence = (
                    piece.ending,
                    piece.usage,
                    piece.stop_sequence,
                )
                answer.parts = [_filled(part, "".join(texts[key])) for key, part in parts.items()]
                return answer
            case _:
                pass
    raise AnswerFailedError(CUT)


def _pieces(
    events: Iterable[Event], reader: chat_upstream.Reader | messages_upstream.Reader
) -> Iterable[Piece]:
    for event in events:
        yield from reader.feed(event)
    yield from reader.end()


def _filled(part: Part, text: str) -> Part:
    match part:
        case Call():
            return Call(part.call_id, part.name, text, part.free)
        case Reasoning():
            return Reasoning(text, part.proof, part.maker, part.item_id, part.hidden)
        case Text():
            return Text(text)
        case Refusal():
            return Refusal(text)
        case _:
            return part
