"""Checks a preset: reports all errors of a file at once, each with its dotted key and what it should be.

`judge` returns the preset or its errors: first the form, then the meaning. It has the rules that types cannot
express: addresses are https except on loopback, a token goes only to hosts that the preset lists, each method
has the addresses that it needs, there is an identity request, and the file contains no secret, no code and no
other app's client id. Called by `catalogue` and by `keyfob providers check`. Must never raise for a bad file.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any

from keyfob.core.provider import Provider
from keyfob.providers import consistency, values
from keyfob.providers.inheritance import FaultyPresetError, Lookup, merged, parse, with_key_defaults
from keyfob.providers.schema import keys_of
from keyfob.providers.schema_check import PresetFault, read

Leaves = list[tuple[str, str]]
Rule = Callable[[Provider, Leaves, bool], Iterator[PresetFault]]

RULES: tuple[Rule, ...] = (
    values.looks,
    values.addresses,
    values.placeholders,
    values.inputs,
    values.expressions,
    values.no_code,
    values.no_secrets,
    values.headers,
    values.parameters,
    values.access,
    consistency.methods,
    consistency.client,
    consistency.device,
    consistency.lifetimes,
    consistency.policy,
    consistency.redirect,
    consistency.who_am_i,
    consistency.hosts,
    consistency.formats,
    consistency.revocation,
)


def judge(table: Mapping[str, Any], *, ours: bool) -> tuple[Provider | None, tuple[PresetFault, ...]]:
    """The provider of a merged table, or None with all its faults. `ours`: it comes with Keyfob, so that it
    must say how it was tested and ship no client id of another's.
    """
    provider, faults = read(table)
    if not provider.methods:
        return None, tuple(faults)  # what a preset with no method needs is not known
    provider, shared = with_key_defaults(provider, table)
    leaves = list(_leaves(provider, ""))
    faulty = {fault.key for fault in faults}
    for rule in RULES:
        found = [fault for fault in rule(provider, leaves, ours) if fault.key not in faulty]
        said = {fault.key for fault in found}
        # What is wrong with a value that the keys share is said once, at the place where it is written.
        faults += [
            fault
            for fault in found
            if not (fault.key.startswith(shared) and fault.key.removeprefix("api_key.") in said)
        ]
    if ours and "tested" not in table:
        faults.append(
            PresetFault("tested", "is missing", 'it should be one of "live", "software", "documentation"')
        )
    return (None if faults else provider), tuple(faults)


def check(data: bytes, lookup: Lookup, *, ours: bool = False) -> tuple[PresetFault, ...]:
    """All faults of a preset file's bytes; empty if it is right. Never raises."""
    try:
        table = merged(parse(data), lookup)
        faults = judge(table, ours=ours)[1]
    except FaultyPresetError as found:
        return found.faults
    except RecursionError:
        return (PresetFault("", "is nested too deeply", "a preset has at most two levels of tables"),)
    return (*faults, *(_foundation(data) if ours else ()))


def _foundation(data: bytes) -> Iterator[PresetFault]:
    """A preset that comes with Keyfob begins with comments that name its sources."""
    lines = data.decode("utf-8").splitlines()
    comments = list(itertools.takewhile(lambda line: line.startswith("#"), lines))
    if not re.search(r"\bRests on\b", "\n".join(comments)):
        yield PresetFault(
            "",
            "does not say its sources",
            'it should begin with comments that contain "Rests on" and its sources',
        )


def _leaves(value: object, at: str) -> Iterator[tuple[str, str]]:
    """Every text of a preset with its dotted key."""
    match value:
        case Mapping():
            for key, entry in value.items():
                yield from _leaves(entry, f"{at}.{key}")
        case tuple():
            for n, entry in enumerate(value):
                yield from _leaves(entry, f"{at}.{n}")
        case str():
            yield at, value
        case _ if is_dataclass(value) and not isinstance(value, type):
            for name in keys_of(type(value)):
                yield from _leaves(getattr(value, name), f"{at}.{name}" if at else name)
