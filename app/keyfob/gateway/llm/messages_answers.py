"""Answers of Messages, written whole and streamed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from keyfob.gateway.llm.errors import stream_error
from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.formats import Json
from keyfob.gateway.llm.names import answer_id, as_signature
from keyfob.gateway.llm.parts import Answer, Call, Ending, Part, Reasoning, Refusal, Text, Usage
from keyfob.gateway.llm.pieces import Alive, Began, Close, Ended, Failed, Key, More, Open, Opened, Piece

_REASONS: Final[dict[Ending, str]] = {
    "stop": "end_turn",
    "calls": "tool_use",
    "length": "max_tokens",
    "context": "model_context_window_exceeded",
    "filter": "refusal",
    "stop_sequence": "stop_sequence",
    "paused": "pause_turn",
}


def answer(given: Answer, request: Json) -> Json:
    """The answer, written. Thoughts are in it only if the request asks for them."""
    with_thoughts = wants_thoughts(request)
    blocks = [
        block
        for part in given.parts
        if with_thoughts or not isinstance(part, Reasoning)
        if (block := _block(part)) is not None
    ]
    refused = any(isinstance(part, Refusal) for part in given.parts)
    return {
        "id": answer_id(given.answer_id, "msg_"),
        "type": "message",
        "role": "assistant",
        "model": given.model,
        "content": blocks,
        "stop_reason": _reason(given.ending, refused),
        "stop_sequence": given.stop_sequence,
        "usage": usage(given.usage or Usage()),
    }


def wants_thoughts(request: Json) -> bool:
    """Whether the request asks for thoughts. Many programs take the first block for the text."""
    return (request.get("thinking") or {}).get("type") not in (None, "disabled")


def usage(counts: Usage) -> Json:
    """The tokens, written. Anthropic counts what a cache read and wrote apart from the rest of the input."""
    return {
        "input_tokens": max(0, counts.input - counts.cached - counts.cache_written),
        "cache_creation_input_tokens": counts.cache_written,
        "cache_read_input_tokens": counts.cached,
        "output_tokens": counts.output,
        "output_tokens_details": {"thinking_tokens": counts.reasoning},
    }


def _reason(ending: Ending, refused: bool) -> str:
    return "refusal" if refused and ending == "stop" else _REASONS[ending]


def _block(part: Part) -> Json | None:
    match part:
        case Text(text) | Refusal(text):
            return {"type": "text", "text": text, "citations": None} if text else None
        case Call():
            return {
                "type": "tool_use",
                "id": part.call_id,
                "name": part.name,
                "input": _input(part.arguments),
            }
        case Reasoning(hidden=True):
            return {"type": "redacted_thinking", "data": part.proof}
        case Reasoning():
            if not part.text and not part.proof:
                return None
            return {"type": "thinking", "thinking": part.text, "signature": _signature(part)}
        case _:
            return None


def _signature(part: Reasoning) -> str:
    if not part.proof:
        return ""
    return as_signature(part) if part.maker == "openai" else part.proof


def _input(arguments: str) -> Json:
    """Arguments as an object. What a model wrote in another form is kept as text."""
    try:
        found = json.loads(arguments or "{}")
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"arguments": arguments}


class Writer:
    """Writes a stream. One block is open at a time: what comes for others waits until it is closed."""

    def __init__(self, request: Json, _created: int) -> None:
        self._model = str(request.get("model", ""))
        self._with_thoughts = wants_thoughts(request)
        self._index = -1
        self._open: Key | None = None
        self._begun = (
            False  # whether the open block has been sent; text and thoughts wait for their first words
        )
        self._parts: dict[Key, Opened] = {}
        self._waiting: dict[Key, list[Piece]] = {}
        self._refused = False

    def write(self, piece: Piece) -> list[Event]:
        """The events that say this piece."""
        match piece:
            case More(key, text) if key == self._open:
                return self._more(key, text)
            case Open(key) | More(key) | Close(key):
                return self._in_turn(key, piece)
            case Began(identity, model, _, counts):
                return [self._start(identity, model, counts)]
            case Ended():
                return self._ended(piece)
            case Failed():
                return stream_error(piece, "anthropic_messages")
            case Alive():
                return [Event("ping", '{"type": "ping"}')]

    def _in_turn(self, key: Key, piece: Open | More | Close) -> list[Event]:
        if self._open is not None and key != self._open:
            self._waiting.setdefault(key, []).append(piece)
            return []
        if isinstance(piece, Open):
            return self._opened(key, piece.part)
        if isinstance(piece, More):
            return []  # of a part that never began
        return [*self._closed(key, piece.part), *self._next()]

    def _opened(self, key: Key, part: Opened) -> list[Event]:
        self._open, self._begun = key, False
        self._parts[key] = part
        self._refused = self._refused or isinstance(part, Refusal)
        return [self._begin(part)] if isinstance(part, Call) else []

    def _begin(self, part: Opened) -> Event:
        self._index += 1
        self._begun = True
        block: Json
        if isinstance(part, Call):
            block = {"type": "tool_use", "id": part.call_id, "name": part.name, "input": {}}
        elif isinstance(part, Reasoning):
            block = {"type": "thinking", "thinking": "", "signature": ""}
        else:
            block = {"type": "text", "text": ""}
        return _event("content_block_start", {"index": self._index, "content_block": block})

    def _more(self, key: Key, text: str) -> list[Event]:
        part = self._parts[key]
        if isinstance(part, Call):
            return [self._delta("input_json_delta", "partial_json", text)]
        if isinstance(part, Reasoning):
            if not self._with_thoughts:
                return []
            delta = ("thinking_delta", "thinking")
        else:
            delta = ("text_delta", "text")
        begun = [] if self._begun else [self._begin(part)]
        return [*begun, self._delta(*delta, text)]

    def _delta(self, kind: str, field: str, text: str) -> Event:
        delta = f'{{"type": "{kind}", "{field}": {json.dumps(text)}}}'
        data = f'{{"type": "content_block_delta", "index": {self._index}, "delta": {delta}}}'
        return Event("content_block_delta", data)

    def _closed(self, key: Key, last: Part | None) -> list[Event]:
        events: list[Event] = []
        part = self._parts.get(key)
        if isinstance(last, Reasoning) and last.proof and self._with_thoughts and isinstance(part, Reasoning):
            if not self._begun:
                events.append(self._begin(part))
            events.append(self._delta("signature_delta", "signature", _signature(last)))
        if self._begun:
            events.append(_event("content_block_stop", {"index": self._index}))
        self._open, self._begun = None, False
        return events

    def _next(self) -> Iterable[Event]:
        """What waited, as far as it goes."""
        events: list[Event] = []
        while self._open is None and self._waiting:
            key = next(iter(self._waiting))
            for piece in self._waiting.pop(key):
                events += self.write(piece)
        return events

    def _start(self, identity: str, model: str, counts: Usage | None) -> Event:
        message: Json = {
            "id": answer_id(identity, "msg_"),
            "type": "message",
            "role": "assistant",
            "model": model or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage(counts or Usage()),
        }
        return _event("message_start", {"message": message})

    def _ended(self, piece: Ended) -> list[Event]:
        events: list[Event] = []
        while self._open is not None:
            events += [*self._closed(self._open, None), *self._next()]
        reason = _reason(piece.ending, self._refused)
        delta = {"stop_reason": reason, "stop_sequence": piece.stop_sequence}
        counts = usage(piece.usage or Usage())
        events.append(_event("message_delta", {"delta": delta, "usage": counts}))
        events.append(_event("message_stop", {}))
        return events


def _event(kind: str, data: Json) -> Event:
    return Event(kind, json.dumps({"type": kind, **data}))
