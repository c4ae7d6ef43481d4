"""Answers of Responses, whole and streamed."""

from __future__ import annotations

import json
from typing import Final

from keyfob.gateway.llm.errors import AnswerFailedError
from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.formats import Json
from keyfob.gateway.llm.parts import Answer, Call, Ending, Part, Reasoning, Refusal, Text, Usage
from keyfob.gateway.llm.pieces import Began, Close, Ended, Failed, Key, More, Open, Piece

_CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
_INCOMPLETE: Final[dict[str | None, Ending]] = {"max_output_tokens": "length", "content_filter": "filter"}
_TEXT_DONE: Final = {"response.output_text.done": "text", "response.refusal.done": "refusal"}
_CALL_DONE: Final = {
    "response.function_call_arguments.done": "arguments",
    "response.custom_tool_call_input.done": "input",
}


def answer(body: Json) -> Answer:
    """The answer, read. Raises AnswerFailedError if it is the report of a failure."""
    if body.get("status") in ("failed", "cancelled", "queued", "in_progress"):
        raise AnswerFailedError(failure(body))
    parts: list[Part] = []
    for item in body.get("output") or ():
        parts += _parts(item)
    return Answer(
        answer_id=body.get("id") or "",
        model=body.get("model") or "",
        parts=parts,
        ending=_ending(body, any(isinstance(part, Call) for part in parts)),
        usage=usage(body.get("usage")),
        created=int(body.get("created_at") or 0),
        service_tier=body.get("service_tier"),
    )


def failure(body: Json) -> Failed:
    """What an answer that failed says."""
    error = body.get("error") or {}
    status = body.get("status") or "failed"
    message = error.get("message") or f"The provider gave no answer: its status is {status}."
    return Failed(message, error.get("type") or error.get("code") or "server_error", error.get("code"))


def usage(counts: Json | None) -> Usage | None:
    """The tokens, read."""
    if not counts:
        return None
    read = counts.get("input_tokens_details") or {}
    written = counts.get("output_tokens_details") or {}
    return Usage(
        input=counts.get("input_tokens") or 0,
        output=counts.get("output_tokens") or 0,
        cached=read.get("cached_tokens") or 0,
        cache_written=read.get("cache_write_tokens") or 0,
        reasoning=written.get("reasoning_tokens") or 0,
    )


def _ending(body: Json, calls: bool) -> Ending:
    if body.get("status") == "incomplete":
        return _INCOMPLETE.get((body.get("incomplete_details") or {}).get("reason"), "stop")
    return "calls" if calls else "stop"


def _parts(item: Json) -> list[Part]:
    """The parts of one item. What the provider's own tools did is left out; its outcome is in the text."""
    kind = item.get("type")
    if kind == "message":
        return [_content(part) for part in item.get("content") or ()]
    if kind in _CALLS:
        return [_call(item, item.get(_CALLS[kind]) or "")]
    if kind == "reasoning":
        return [_reasoning(item)]
    return []


def _content(part: Json) -> Text | Refusal:
    if part.get("type") == "refusal":
        return Refusal(part.get("refusal") or "")
    return Text(part.get("text") or "")


def _call(item: Json, arguments: str) -> Call:
    identity = item.get("call_id") or item.get("id") or ""
    return Call(identity, item.get("name") or "", arguments, free=item["type"] == "custom_tool_call")


def _reasoning(item: Json) -> Reasoning:
    texts = [part.get("text") or "" for part in (item.get("summary") or item.get("content") or ())]
    return Reasoning("\n\n".join(texts), item.get("encrypted_content"), "openai", item.get("id"))


class Reader:
    """Reads a stream. A text may stand in several events, or in one of them: the first one counts."""

    def __init__(self) -> None:
        self._open: set[Key] = set()
        self._filled: set[Key] = set()
        self._closed: set[Key] = set()
        self._calls = False

    def feed(self, event: Event) -> list[Piece]:
        """What this event says."""
        data = json.loads(event.data)
        kind = data.get("type") or event.name or ""
        if kind == "response.output_text.delta":
            return self._more(
                (data.get("output_index", 0), data.get("content_index", 0)), Text(""), data["delta"]
            )
        if kind.startswith("response.output_item."):
            item, index = data["item"], data.get("output_index", 0)
            return self._begin(item, index) if kind.endswith("added") else self._done(item, index)
        if kind.endswith(".delta"):
            return self._delta(kind, data)
        if kind in _TEXT_DONE:
            return self._text_done(data, _TEXT_DONE[kind])
        if kind in _CALL_DONE:
            key = data.get("output_index", 0)
            return (
                [] if key in self._filled or key not in self._open else self._add(key, data[_CALL_DONE[kind]])
            )
        return self._rare(kind, data)

    def end(self) -> list[Piece]:
        """What is left to say when the stream is over."""
        return []

    def _rare(self, kind: str, data: Json) -> list[Piece]:
        match kind:
            case "response.created":
                response = data["response"]
                created = int(response.get("created_at") or 0)
                return [Began(response.get("id") or "", response.get("model") or "", created)]
            case "response.reasoning_summary_part.added" if data.get("summary_index"):
                return self._more(data.get("output_index", 0), Reasoning(), "\n\n")
            case "response.completed" | "response.incomplete":
                return self._ended(data["response"])
            case "response.failed":
                return [failure(data["response"])]
            case "error":
                return [failure({"error": data.get("error") or data})]
            case _:
                return []

    def _delta(self, kind: str, data: Json) -> list[Piece]:
        index = data.get("output_index", 0)
        match kind:
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                return self._add(index, data["delta"])
            case "response.refusal.delta":
                return self._more((index, data.get("content_index", 0)), Refusal(""), data["delta"])
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                return self._more(index, Reasoning(), data["delta"])
            case _:
                return []

    def _begin(self, item: Json, index: int) -> list[Piece]:
        kind = item.get("type")
        if kind in _CALLS:
            self._calls = True
            self._open.add(index)
            return [Open(index, _call(item, "")), *self._add(index, item.get(_CALLS[kind]) or "")]
        return []

    def _text_done(self, data: Json, name: str) -> list[Piece]:
        key = (data.get("output_index", 0), data.get("content_index", 0))
        return self._whole(key, Refusal("") if name == "refusal" else Text(""), data.get(name) or "")

    def _done(self, item: Json, index: int) -> list[Piece]:
        pieces: list[Piece] = []
        kind = item.get("type")
        if kind == "message":
            for number, part in enumerate(item.get("content") or ()):
                content = _content(part)
                pieces += self._whole((index, number), type(content)(""), content.text)
        elif kind in _CALLS:
            if index not in self._open:
                pieces += self._begin({**item, _CALLS[kind]: ""}, index)
            pieces += self._whole(index, _call(item, ""), item.get(_CALLS[kind]) or "")
        elif kind == "reasoning":
            reasoning = _reasoning(item)
            pieces += self._whole(index, Reasoning(), reasoning.text, reasoning)
        return pieces

    def _ended(self, response: Json) -> list[Piece]:
        pieces: list[Piece] = []
        if not self._open:
            for index, item in enumerate(response.get("output") or ()):
                pieces += self._done(item, index)
        return [*pieces, Ended(_ending(response, self._calls), usage(response.get("usage")))]

    def _whole(
        self, key: Key, part: Text | Refusal | Reasoning | Call, text: str, proved: Part | None = None
    ) -> list[Piece]:
        """The end of a part, with its text if none of it came before."""
        if key in self._closed:
            return []
        pieces: list[Piece] = []
        if key not in self._filled and (text or proved):
            pieces = self._more(key, part, text)
        if key in self._open:
            pieces.append(Close(key, proved))
            self._closed.add(key)
        return pieces

    def _more(self, key: Key, part: Text | Refusal | Reasoning | Call, text: str) -> list[Piece]:
        if key in self._open:
            return self._add(key, text)
        self._open.add(key)
        return [Open(key, part), *self._add(key, text)]

    def _add(self, key: Key, text: str) -> list[Piece]:
        if not text:
            return []
        self._filled.add(key)
        return [More(key, text)]
