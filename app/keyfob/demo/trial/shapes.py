"""Answers in a preset's shape: objects in which the paths of its map find the trial's person, and the fields
of its token answers the tokens.

The counterpart of `protocol.http.json_path`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from keyfob.core.provider import IdentitySource, Provider
from keyfob.core.times import to_rfc3339
from keyfob.demo.trial.made_up import PERSON
from keyfob.protocol.identity import STANDARD_CLAIMS

LIFETIME = 3600  # seconds, if the preset does not say
_SLOT = re.compile(r"\{([^{}]*)\}")
_ALTERNATIVE = re.compile(r"\|(?![^{}]*\})")


def person_in(source: IdentitySource, *, standard: bool) -> dict[str, Any]:
    """An answer from which the map reads the trial's person; with `standard` also by the standard claims."""
    paths = {**(STANDARD_CLAIMS if standard else {}), **source.map}
    answer: dict[str, Any] = {}
    # The subject first: what is there stays, and some presets take a name from the same field.
    for name in sorted(paths, key=lambda name: name != "subject"):
        _put_path(answer, _ALTERNATIVE.split(paths[name])[0].strip(), PERSON[name])
    return answer


def _put_path(answer: dict[str, Any], path: str, value: Any) -> None:
    """Makes `read_path(answer, path)` find something: the value itself if the path is a plain one."""
    if not path or path.startswith("="):
        return
    slots = _SLOT.findall(path)
    if slots:
        for slot in slots:
            _put_path(answer, _ALTERNATIVE.split(slot)[0].strip(), str(value))
    elif "~" in path:
        where, _, words = path.partition("~")
        put(answer, where, [words.split(",")[0]])
    elif "?" in path:
        put(answer, path.partition("?")[0], True)
    else:
        put(answer, path, value)


def put(answer: dict[str, Any], path: str, value: Any) -> None:
    """Set the place `path` of an answer, and make the objects and lists that lead there. What is there
    stays.
    """
    # A key may contain dots, as an address does.
    parts = [path] if "://" in path else path.split(".")
    here: Any = answer
    for n, part in enumerate(parts):
        last = n == len(parts) - 1
        fresh: Any = value if last else [] if parts[n + 1].isdecimal() else {}
        if isinstance(here, list):
            while len(here) <= int(part):
                here.append(fresh)
            here = here[int(part)]
        elif isinstance(here, dict):
            here = here.setdefault(part, fresh)
        else:
            return


def token_answer(
    provider: Provider, tokens: Mapping[str, str], scopes: str, now: datetime, *, token_type: str
) -> dict[str, Any]:
    """The token endpoint's answer. `tokens` has `access_token`, and `refresh_token` and `id_token` if there
    are such.
    """
    shape = provider.token_answer
    life = provider.lifetimes.access or LIFETIME
    ends = now + timedelta(seconds=life)
    inner: dict[str, Any] = {}
    put(inner, shape.access_field, tokens["access_token"])
    if "refresh_token" in tokens:
        put(inner, shape.refresh_field, tokens["refresh_token"])
    if "id_token" in tokens:
        inner["id_token"] = tokens["id_token"]
    if not shape.token_type_optional:
        inner["token_type"] = token_type
    kinds = {"seconds": life, "epoch": int(ends.timestamp()), "rfc3339": to_rfc3339(ends)}
    put(inner, shape.expires_field, kinds[shape.expires_kind])
    if scopes:
        inner[shape.scope_field] = scopes
    if provider.identity.source == "token_answer":
        for name, value in person_in(provider.identity, standard=True).items():
            inner.setdefault(name, value)
    outer = inner
    for part in reversed(shape.path):
        outer = {part: outer}
    if shape.ok_field is not None:
        outer[shape.ok_field] = True
    return outer
