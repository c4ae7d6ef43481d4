"""How a preset differs from what an account was signed in with. The account keeps its own values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from keyfob.core.words import known

PresetPart = Literal["host", "server", "scope", "resource"]
_PARTS: tuple[PresetPart, ...] = get_args(PresetPart)


@dataclass(frozen=True, slots=True)
class PresetChange:
    """Something that the preset has and the account does not: a host or server by its name and port, a scope,
    or what the token is for (RFC 8707).
    """

    part: PresetPart
    value: str

    def to_json(self) -> dict[str, str]:
        """As `keyfob status --json` lists it."""
        return {"part": self.part, "value": self.value}

    @classmethod
    def all_from(cls, rows: Iterable[Mapping[str, str]]) -> tuple[PresetChange, ...]:
        """What `to_json` made, without parts that this version does not know."""
        found = ((known(_PARTS, row.get("part")), row.get("value", "")) for row in rows)
        return tuple(cls(part, value) for part, value in found if part is not None)


def command_for(account_id: str, changes: Iterable[PresetChange]) -> str:
    """The command that gives the account what the preset has now."""
    scopes = [f" --scope {each.value}" for each in changes if each.part == "scope"]
    return f"keyfob reconnect {account_id}{''.join(scopes)}"
