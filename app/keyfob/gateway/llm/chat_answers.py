"""Answers of Chat Completions, written whole and streamed."""

from __future__ import annotations

import json
from typing import Final

from keyfob.gateway.llm.errors import stream_error
from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.formats import CHAT, Json
from keyfob.gateway.llm.names import answer_id
from keyfob.gateway.llm.parts import Answer, Call, Ending, Part, Reasoning, Refusal, Text, Usage
from keyfob.gateway.llm.pieces import Began, Close, Ended, Failed, Key, More, Open, Piece

_FINISH: Final[dict[Ending, str]] = {
    "calls": "tool_calls",
    "length": "length",
    "context": "length",
    "filter": "content_filter",
}
_FORMATS: Final = {"openai": "openai-responses-v1", "anthropic": "anthropic-claude-v1"}


def answer(given: Answer, _request: Json) -> Json:
    """The answer, written."""
    message: Json = {
        "role": "assistant",
        "content": _joined(given.parts, Text),
        "refusal": _joined(given.parts, Refusal),
        "annotations": [],
    }
    if calls := [_call(part) for part in given.parts if isinstance(part, Call)]:
        message["tool_calls"] = calls
    if thought := "\n\n".join(part.text for part in given.parts if isinstance(part, Reasoning) and part.text):
        message["reasoning_content"] = thought
    if details := [detail(part) for part in given.parts if isinstance(part, Reasoning) and part.proof]:
        message["reasoning_details"] = details
    body: Json = {
        "id": answer_id(given.answer_id, "chatcmpl-"),
        "object": "chat.completion",
        "created": given.created,
        "model": given.model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": _FINISH.get(given.ending, "stop"),
            }
        ],
    }
    if given.usage is not None:
        body["usage"] = usage(given.usage)
    if given.service_tier is not None:
        body["service_tier"] = given.service_tier
    return body


def usage(counts: Usage) -> Json:
    """The tokens, written."""
    return {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input + counts.output,
        "prompt_tokens_details": {
            "cached_tokens": counts.cached,
            "cache_write_tokens": counts.cache_written,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def detail(part: Reasoning) -> Json:
    """Reasoning in the field `reasoning_details`, which some gateways and their clients know and give back.

    Chat Completions itself has no field for it.
    """
    made = {"id": part.item_id, "format": _FORMATS[part.maker or "openai"], "index": 0}
    if part.maker == "anthropic" and not part.hidden:
        return {"type": "reasoning.text", "text": part.text, "signature": part.proof, **made}
    return {"type": "reasoning.encrypted", "data": part.proof, **made}


def _joined(parts: list[Part], kind: type[Text | Refusal]) -> str | None:
    texts = [part.text for part in parts if isinstance(part, kind)]
    return "".join(texts) if texts else None


def _call(part: Call) -> Json:
    if part.free:
        return {"id": part.call_id, "type": "custom", "custom": {"name": part.name, "input": part.arguments}}
    return {
        "id": part.call_id,
        "type": "function",
        "function": {"name": part.name, "arguments": part.arguments},
    }


class Writer:
    """Writes a stream. With `include_usage` in the request, a chunk at the end has the tokens."""

    def __init__(self, request: Json, created: int) -> None:
        self._include_usage = bool((request.get("stream_options") or {}).get("include_usage"))
        self._model = str(request.get("model", ""))
        self._created = created
        self._head = ""
        self._tail = ""
        self._numbers: dict[Key, int] = {}  # of calls, counted among calls alone
        self._fields: dict[Key, str] = {}
        self._free: set[Key] = set()

    def write(self, piece: Piece) -> list[Event]:
        """The events that say this piece."""
        if isinstance(piece, More):
            return self._more(piece)
        match piece:
            case Began(identity, model, created):
                self._begin(identity, model, created)
                return [self._chunk({"role": "assistant", "content": "", "refusal": None})]
            case Open(key, part):
                return self._open(key, part)
            case Close(_, Reasoning() as part) if part.proof:
                return [self._chunk({"reasoning_details": [detail(part)]})]
            case Ended():
                return self._ended(piece)
            case Failed():
                return stream_error(piece, CHAT)
            case _:
                return []

    def _begin(self, identity: str, model: str, created: int) -> None:
        head: Json = {
            "id": answer_id(identity, "chatcmpl-"),
            "object": "chat.completion.chunk",
            "created": created or self._created,
            "model": model or self._model,
        }
        self._head = json.dumps(head)[:-1] + ', "choices": ['
        self._tail = '], "usage": null}' if self._include_usage else "]}"

    def _open(self, key: Key, part: Text | Refusal | Reasoning | Call) -> list[Event]:
        if isinstance(part, Call):
            number = self._numbers[key] = len(self._numbers)
            if part.free:
                self._free.add(key)
            return [self._chunk({"tool_calls": [{"index": number, **_call(part)}]})]
        if isinstance(part, Reasoning):
            self._fields[key] = "reasoning_content"
        else:
            self._fields[key] = "refusal" if isinstance(part, Refusal) else "content"
        return []

    def _more(self, piece: More) -> list[Event]:
        key = piece.key
        if field := self._fields.get(key):
            return [self._chunk({field: piece.text})]
        if key in self._free:
            call: Json = {"index": self._numbers[key], "custom": {"input": piece.text}}
        else:
            call = {"index": self._numbers[key], "function": {"arguments": piece.text}}
        return [self._chunk({"tool_calls": [call]})]

    def _ended(self, piece: Ended) -> list[Event]:
        events = [self._chunk({}, _FINISH.get(piece.ending, "stop"))]
        if self._include_usage:
            counts = json.dumps(usage(piece.usage or Usage()))
            events.append(Event(None, f'{self._head}], "usage": {counts}}}'))
        events.append(Event(None, "[DONE]"))
        return events

    def _chunk(self, delta: Json, finish: str | None = None) -> Event:
        reason = f'"{finish}"' if finish else "null"
        choice = f'{{"index": 0, "delta": {json.dumps(delta)}, "logprobs": null, "finish_reason": {reason}}}'
        return Event(None, f"{self._head}{choice}{self._tail}")
