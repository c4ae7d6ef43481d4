"""Families of presets: `extends = "other"` starts from another preset's
tables, and the file's own values replace them.

Tables are merged key by key, and everything else is replaced. `id` and `title` are never inherited from
another id. A user's file may extend Keyfob's preset with the same id. Pure: the caller finds the files.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from keyfob.core.text import plain
from keyfob.providers.schema_check import PresetFault

MAX_BYTES = 256 * 1024  # a preset is a page of text; more is a mistake or an attack
MAX_DEPTH = 5  # families are shallow; a longer chain cannot be read by a user

Table = dict[str, Any]
Lookup = Callable[[str, bool], Table | None]  # (id, ours only) -> its parsed table, None if there is none


class FaultyPresetError(Exception):
    """Raised inside this package with the faults found; never leaves the catalogue."""

    def __init__(self, *faults: PresetFault) -> None:
        super().__init__(*(fault.sentence() for fault in faults))
        self.faults = faults


def parse(data: bytes) -> Table:
    """The TOML table of a preset file. Raises FaultyPresetError; no other error, whatever the bytes."""
    if len(data) > MAX_BYTES:
        raise FaultyPresetError(
            PresetFault("", "is too long", f"it should be at most {MAX_BYTES // 1024} KB")
        )
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise FaultyPresetError(PresetFault("", "is not text", "it should be TOML in UTF-8")) from None
    except (ValueError, RecursionError) as error:
        raise FaultyPresetError(
            PresetFault("", f"is not TOML: {plain(error, 160)}", "correct its syntax")
        ) from None


def merged(table: Table, lookup: Lookup) -> Table:
    """The table with its family's tables under it, and without `extends`. Raises FaultyPresetError."""
    chain = [table]
    seen: list[tuple[str, bool]] = []
    while "extends" in chain[-1]:
        name = chain[-1]["extends"]
        if not isinstance(name, str):
            raise FaultyPresetError(
                PresetFault("extends", "is not a string", "it should be the id of another preset")
            )
        own_name = len(chain) == 1 and table.get("id") == name
        if (name, own_name) in seen or len(seen) >= MAX_DEPTH:
            way = " → ".join([*(step for step, _ in seen), plain(name, 40)])
            raise FaultyPresetError(
                PresetFault(
                    "extends", f"goes in a circle ({way})", "one of these presets must not extend another"
                )
            )
        seen.append((name, own_name))
        parent = lookup(name, own_name)
        if parent is None:
            raise FaultyPresetError(
                PresetFault(
                    "extends",
                    f'is "{plain(name, 40)}", which does not exist',
                    "it should be an existing preset",
                )
            )
        named = ("id",) if own_name else ("id", "title")
        chain.append({key: value for key, value in parent.items() if key not in named})
    out: Table = {}
    for link in reversed(chain):
        out = _over(out, link)
    out.pop("extends", None)
    return out


def _over(base: Mapping[str, Any], top: Mapping[str, Any]) -> Table:
    out = dict(base)
    for key, value in top.items():
        below = out.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            out[key] = _over(below, value)
        else:
            out[key] = value
    return out
