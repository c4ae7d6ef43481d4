"""What a preset need not repeat: the tables of another preset that it extends, and the API of its keys.

`extends = "other"` starts from another preset's tables, and the file's own values replace them. Tables are
merged key by key, and everything else is replaced; `drop` leaves out what the file names. `id` and `title`
are never inherited from another id. A user's file may extend Keyfob's preset with the same id. Pure: the
caller finds the files.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from keyfob.core.provider import Provider
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
    """The table with its family's tables under it, and without `extends` and `drop`. Raises
    FaultyPresetError.
    """
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
        out = _over(_without(out, link.get("drop", [])), link)
    out.pop("extends", None)
    out.pop("drop", None)
    return out


def _without(base: Table, names: object) -> Table:
    """What is extended, without the tables and keys that `drop` names. Raises FaultyPresetError."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FaultyPresetError(
            PresetFault("drop", "is not a list of strings", 'it should name tables, such as ["api_key"]')
        )
    out = base
    for name in names:
        *way, last = name.split(".")
        out = copy.deepcopy(out)
        at: Any = out
        for step in way:
            at = at.get(step) if isinstance(at, Mapping) else None
        if not isinstance(at, dict) or last not in at or name in ("id", "title"):
            raise FaultyPresetError(
                PresetFault(
                    "drop",
                    f'names "{plain(name, 60)}"',
                    "it should name only tables and keys of the preset that this one extends",
                )
            )
        del at[last]
    return out


def with_key_defaults(provider: Provider, table: Mapping[str, Any]) -> tuple[Provider, tuple[str, ...]]:
    """The provider of `table`, with what its keys share with its sign-ins, and the dotted keys that were
    filled in. Without [api_key.api] a key goes where a token goes, and in the same way; without its `base`
    and `hosts` it goes there in its own way. Without [api_key.identity] it is asked for in the same way, if
    that is a request.
    """
    key, given = provider.api_key, table.get("api_key")
    if key is None or not isinstance(given, Mapping):
        return provider, ()
    shared = []
    if "api" not in given:
        key = replace(key, api=replace(provider.api, from_answer=None))
        shared.append("api_key.api.")
    elif key.api.base is None and not key.api.hosts:
        key = replace(key, api=replace(key.api, base=provider.api.base, hosts=provider.api.hosts))
        shared += ["api_key.api.base", "api_key.api.hosts."]
    if "identity" not in given and provider.identity.source == "request":
        key = replace(key, identity=provider.identity)
        shared.append("api_key.identity.")
    return replace(provider, api_key=key), tuple(shared)


def _over(base: Mapping[str, Any], top: Mapping[str, Any]) -> Table:
    out = dict(base)
    for key, value in top.items():
        below = out.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            out[key] = _over(below, value)
        else:
            out[key] = value
    return out
