"""Answers of Messages, read whole and streamed."""

from __future__ import annotations

import json
from typing import Final

from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.formats import Json
from keyfob.gateway.llm.parts import Answer, Call, Ending, Part, Reasoning, Text, Usage
from keyfob.gateway.llm.pieces import Alive, Began, Close, Ended, Failed, More, Open, Opened, Piece

_ENDINGS: Final[dict[str, Ending]] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "calls",
    "pause_turn": "paused",
    "refusal": "filter",
    "model_context_window_exceeded": "context",
}
_DELTAS: Final = {"text_delta": "text", "input_json_delta": "partial_json", "thinking_delta": "thinking"}


def answer(body: Json) -> Answer:
    """The answer, read."""
    return Answer(
        answer_id=body.get("id") or "",
        model=body.get("model") or "",
        parts=[part for block in body.get("content") or () if (part := _part(block)) is not None],
        ending=_ENDINGS.get(body.get("stop_reason") or "", "stop"),
        usage=usage(body.get("usage") or {}),
        stop_sequence=body.get("stop_sequence"),
    )


def usage(counts: Json) -> Usage:
    """The tokens, read. Anthropic counts what a cache read and wrote apart from the rest of the input."""
    cached = counts.get("cache_read_input_tokens") or 0
    written = counts.get("cache_creation_input_tokens") or 0
    return Usage(
        input=(counts.get("input_tokens") or 0) + cached + written,
        output=counts.get("output_tokens") or 0,
        cached=cached,
        cache_written=written,
        reasoning=(counts.get("output_tokens_details") or {}).get("thinking_tokens") or 0,
    )


def _part(block: Json) -> Part | None:
    """One block. What Anthropic's own tools did is left out; its outcome is in the text."""
    match block.get("type"):
        case "text":
            return Text(block.get("text") or "")
        case "tool_use":
            return Call(block.get("id") or "", block.get("name") or "", json.dumps(block.get("input") or {}))
        case "thinking":
            return Reasoning(block.get("thinking") or "", block.get("signature"), "anthropic")
        case "redacted_thinking":
            return Reasoning("", block.get("data"), "anthropic", hidden=True)
        case _:
            return None


class Reader:
    """Reads a stream."""

    def __init__(self) -> None:
        self._usage: Json = {}
        self._open: dict[int, Opened] = {}
        self._texts: dict[int, str] = {}  # of thoughts, whose proof belongs to the whole
        self._without_arguments: set[int] = set()
        self._ending: Ending = "stop"
        self._stop_sequence: str | None = None

    def feed(self, event: Event) -> list[Piece]:
        """What this event says. Unknown events say nothing."""
        data = json.loads(event.data)
        match data.get("type") or event.name:
            case "content_block_delta":
                return self._delta(data["index"], data["delta"])
            case "content_block_start":
                return self._start(data["index"], data["content_block"])
            case "content_block_stop":
                return self._stop(data["index"])
            case "message_start":
                message = data["message"]
                self._count(message.get("usage"))
                return [Began(message.get("id") or "", message.get("model") or "", 0, usage(self._usage))]
            case "message_delta":
                self._count(data.get("usage"))
                self._ending = _ENDINGS.get(data["delta"].get("stop_reason") or "", "stop")
                self._stop_sequence = data["delta"].get("stop_sequence")
                return []
            case "message_stop":
                return [Ended(self._ending, usage(self._usage), self._stop_sequence)]
            case "ping":
                return [Alive()]
            case "error":
                error = data.get("error") or {}
                return [
                    Failed(error.get("message") or "The provider failed.", error.get("type") or "api_error")
                ]
            case _:
                return []

    def end(self) -> list[Piece]:
        """What is left to say when the stream is over."""
        return []

    def _count(self, counts: Json | None) -> None:
        """The counts of a stream are sums so far; what an event does not have stays."""
        self._usage.update({name: value for name, value in (counts or {}).items() if value is not None})

    def _start(self, index: int, block: Json) -> list[Piece]:
        part = _part(block)
        if not isinstance(part, Text | Call | Reasoning):
            return []
        self._open[index] = part
        if isinstance(part, Call):
            arguments = part.arguments if block.get("input") else ""
            if not arguments:
                self._without_arguments.add(index)
            opened: Piece = Open(index, Call(part.call_id, part.name, ""))
            return [opened, More(index, arguments)] if arguments else [opened]
        if isinstance(part, Reasoning):
            self._texts[index] = part.text
            return (
                [Open(index, Reasoning()), More(index, part.text)]
                if part.text
                else [Open(index, Reasoning())]
            )
        return [Open(index, Text("")), More(index, part.text)] if part.text else [Open(index, Text(""))]

    def _delta(self, index: int, delta: Json) -> list[Piece]:
        part = self._open.get(index)
        if part is None:
            return []
        kind = delta.get("type") or ""
        if kind == "signature_delta" and isinstance(part, Reasoning):
            self._open[index] = Reasoning("", (part.proof or "") + delta["signature"], "anthropic")
            return []
        text = delta.get(_DELTAS.get(kind, ""))
        if not text:
            return []
        if index in self._texts:
            self._texts[index] += text
        self._without_arguments.discard(index)
        return [More(index, text)]

    def _stop(self, index: int) -> list[Piece]:
        part = self._open.pop(index, None)
        if part is None:
            return []
        if isinstance(part, Reasoning):
            text = self._texts.pop(index)
            return [Close(index, Reasoning(text, part.proof, "anthropic", hidden=part.hidden))]
        if index in self._without_arguments:
            return [More(index, "{}"), Close(index)]
        return [Close(index)]
