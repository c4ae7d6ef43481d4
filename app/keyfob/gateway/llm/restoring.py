"""Calls in an answer as the caller knows their tools: whole names, and text for the tools that take text."""

from __future__ import annotations

import json
from dataclasses import replace

from keyfob.gateway.llm.formats import Format, Json
from keyfob.gateway.llm.messages_writing import FREE_INPUT
from keyfob.gateway.llm.names import long_names
from keyfob.gateway.llm.parts import Call, Part
from keyfob.gateway.llm.pieces import Close, Key, More, Open, Piece


class Tools:
    """What had to be changed in the tools of one request, and is changed back in its answer."""

    def __init__(self, request: Json, source: Format) -> None:
        described = [_described(tool) for tool in request.get("tools") or ()]
        self._long = long_names(name for name, _ in described) if source != "anthropic_messages" else {}
        self._free = {name for name, free in described if free and source == "anthropic_messages"}
        self._written: dict[Key, str] = {}  # what came of the calls of free tools

    def part(self, part: Part) -> Part:
        """The part, with a call as the caller knows it."""
        if not isinstance(part, Call):
            return part
        call = replace(part, name=self._long.get(part.name, part.name))
        return (
            replace(call, free=True, arguments=_unwrapped(part.arguments))
            if call.name in self._free
            else call
        )

    def pieces(self, pieces: list[Piece]) -> list[Piece]:
        """The pieces, with calls as the caller knows them. The text of a free tool comes when it is whole."""
        if not self._long and not self._free:
            return pieces
        return [each for piece in pieces for each in self._piece(piece)]

    def _piece(self, piece: Piece) -> list[Piece]:
        match piece:
            case Open(key, Call() as call):
                if call.name in self._free:
                    self._written[key] = ""
                    return [Open(key, replace(call, free=True))]
                return [Open(key, replace(call, name=self._long.get(call.name, call.name)))]
            case More(key, text) if key in self._written:
                self._written[key] += text
                return []
            case Close(key) if key in self._written:
                return [More(key, _unwrapped(self._written.pop(key))), piece]
            case _:
                return [piece]


def _described(tool: Json) -> tuple[str, bool]:
    """A tool's name, and whether it takes text."""
    kind = tool.get("type") or ""
    inner = tool.get(kind)
    named = inner if isinstance(inner, dict) else tool
    return str(named.get("name", "")), kind == "custom" and named is inner


def _unwrapped(arguments: str) -> str:
    try:
        found = json.loads(arguments)[FREE_INPUT]
    except (ValueError, LookupError, TypeError):
        return arguments
    return found if isinstance(found, str) else arguments
