"""Answers of Chat Completions, read whole and streamed, of many vendors who write it."""

from __future__ import annotations

import json
from typing import Final

from keyfob.gateway.llm.errors import CUT, failure_of
from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.formats import Json
from keyfob.gateway.llm.parts import Answer, Call, Ending, Part, Reasoning, Refusal, Text, Usage
from keyfob.gateway.llm.pieces import Began, Close, Ended, Key, More, Open, Piece

_ENDINGS: Final[dict[str, Ending]] = {"length": "length", "content_filter": "filter"}


def answer(body: Json) -> Answer:
    """The answer, read: its first choice."""
    choice = body["choices"][0]
    message = choice["message"]
    parts: list[Part] = []
    if thought := _thought(message):
        parts.append(Reasoning(thought))
    if message.get("content"):
        parts.append(Text(message["content"]))
    if message.get("refusal"):
        parts.append(Refusal(message["refusal"]))
    calls = [_call(each) for each in message.get("tool_calls") or ()]
    parts += calls
    return Answer(
        answer_id=body.get("id") or "",
        model=body.get("model") or "",
        parts=parts,
        ending=_ending(choice.get("finish_reason"), bool(calls)),
        usage=usage(body.get("usage")),
        created=int(body.get("created") or 0),
        service_tier=body.get("service_tier"),
    )


def usage(counts: Json | None) -> Usage | None:
    """The tokens, read."""
    if not counts:
        return None
    read = counts.get("prompt_tokens_details") or {}
    written = counts.get("completion_tokens_details") or {}
    return Usage(
        input=counts.get("prompt_tokens") or 0,
        output=counts.get("completion_tokens") or 0,
        cached=read.get("cached_tokens") or 0,
        cache_written=read.get("cache_write_tokens") or 0,
        reasoning=written.get("reasoning_tokens") or 0,
    )


def _ending(reason: str | None, calls: bool) -> Ending:
    """Some vendors say `stop` after calls, so the calls count."""
    return _ENDINGS.get(reason or "", "calls" if calls else "stop")


def _thought(message: Json) -> str:
    """What vendors add: Chat Completions itself has no field for it."""
    text = message.get("reasoning_content") or message.get("reasoning")
    return text if isinstance(text, str) else ""


def _call(call: Json) -> Call:
    if call.get("type") == "custom":
        custom = call.get("custom") or {}
        return Call(call.get("id") or "", custom.get("name") or "", custom.get("input") or "", free=True)
    function = call.get("function") or {}
    return Call(call.get("id") or "", function.get("name") or "", function.get("arguments") or "")


class Reader:
    """Reads a stream: its first choice."""

    def __init__(self) -> None:
        self._answer_id = ""
        self._begun = False
        self._count = 0
        self._running: tuple[Key, str] | None = None  # the text or thought that is open, and its field
        self._calls: dict[int, Key] = {}  # by the upstream's index
        self._nameless: dict[int, Call] = {}
        self._finish: str | None = None
        self._usage: Usage | None = None

    def feed(self, event: Event) -> list[Piece]:
        """What this event says."""
        if event.data.strip() == "[DONE]":
            return self.end() or [CUT]
        data = json.loads(event.data)
        if data.get("error"):
            return [failure_of(data)]
        pieces: list[Piece] = []
        if not self._begun:
            self._begun = True
            self._answer_id = data.get("id") or ""
            created = int(data.get("created") or 0)
            pieces.append(Began(self._answer_id, data.get("model") or "", created))
        if data.get("usage"):
            self._usage = usage(data["usage"])
        for choice in data.get("choices") or ():
            if not choice.get("index"):
                pieces += self._choice(choice)
        return pieces

    def end(self) -> list[Piece]:
        """The end, which is known by the finish reason; some vendors send no `[DONE]`."""
        if self._finish is None:
            return []
        return [Ended(_ending(self._finish, bool(self._calls)), self._usage)]

    def _choice(self, choice: Json) -> list[Piece]:
        delta = choice.get("delta") or {}
        pieces: list[Piece] = []
        if thought := _thought(delta):
            pieces += self._more("thought", Reasoning(), thought)
        if content := delta.get("content"):
            pieces += self._more("content", Text(""), content)
        if refusal := delta.get("refusal"):
            pieces += self._more("refusal", Refusal(""), refusal)
        for call in delta.get("tool_calls") or ():
            pieces += self._call(call)
        if choice.get("finish_reason") and self._finish is None:
            self._finish = choice["finish_reason"]
            pieces += self._close_running()
            for index in list(self._nameless):
                pieces += self._open_call(index, self._nameless[index])
            pieces += [Close(key) for key in self._calls.values()]
        return pieces

    def _more(self, field: str, part: Text | Refusal | Reasoning, text: str) -> list[Piece]:
        if self._running and self._running[1] == field:
            return [More(self._running[0], text)]
        key = self._new_key()
        pieces = [*self._close_running(), Open(key, part), More(key, text)]
        self._running = (key, field)
        return pieces

    def _close_running(self) -> list[Piece]:
        running, self._running = self._running, None
        return [Close(running[0])] if running else []

    def _call(self, fragment: Json) -> list[Piece]:
        """A fragment of a call. Only its index says which one it belongs to, if the vendor sends one."""
        index = self._index(fragment)
        call = _call(fragment)
        if index in self._calls:
            return [More(self._calls[index], call.arguments)] if call.arguments else []
        known = self._nameless.get(index)
        if known is not None:
            arguments = known.arguments + call.arguments
            call = Call(call.call_id or known.call_id, call.name, arguments, call.free)
        if not call.name:
            self._nameless[index] = call
            return []
        return self._open_call(index, call)

    def _open_call(self, index: int, call: Call) -> list[Piece]:
        self._nameless.pop(index, None)
        key = self._calls[index] = self._new_key()
        identity = call.call_id or f"call_{self._answer_id}_{index}"
        opened = Open(key, Call(identity, call.name, "", call.free))
        more = [More(key, call.arguments)] if call.arguments else []
        return [*self._close_running(), opened, *more]

    def _index(self, fragment: Json) -> int:
        index = fragment.get("index")
        if isinstance(index, int) and index >= 0:
            return index
        known = len(self._calls) + len(self._nameless)
        return known if fragment.get("id") or known == 0 else known - 1

    def _new_key(self) -> Key:
        self._count += 1
        return self._count
