"""Which hosts a preset connects to, and whether it uses the name of
another: what a user must see about a stranger's preset.

The importer calls it before it adds a preset. Pure.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from urllib.parse import urlsplit

from keyfob.core.provider import Provider

WORDS_ALONE = frozenset(
    {"docs", "terms", "register_at", "create_at"}
)  # pages for users; nothing is sent there


def hosts(preset: Provider) -> tuple[str, ...]:
    """Every host that the browser, a request or a token goes to, by name;
    `{name}` in one is a placeholder for an input.
    """
    named = [*preset.api.hosts, *(preset.api_key.api.hosts if preset.api_key else ())]
    named += preset.api.from_answer.hosts if preset.api.from_answer else ()
    found = {host.lower() for host in named}
    for text in _texts(preset):
        if "://" in text:
            try:
                found.add(urlsplit(text).netloc.rpartition("@")[2].lower())
            except ValueError:
                continue
    return tuple(sorted(filter(None, found)))


def same_name(preset: Provider, known: Iterable[Provider]) -> Provider | None:
    """The known provider whose title or id this preset bears though it leads elsewhere."""
    names, reached = {_bare(preset.title), _bare(preset.id)}, set(hosts(preset))
    for other in known:
        if names & {_bare(other.title), _bare(other.id)} and not reached <= set(hosts(other)):
            return other
    return None


def _texts(value: object) -> Iterator[str]:
    if is_dataclass(value):
        for entry in fields(value):
            if entry.name not in WORDS_ALONE:
                yield from _texts(getattr(value, entry.name))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value


def _bare(name: str) -> str:
    """Letters and digits alone, in one case and one form: `Git
    EventBus` and full-width letters are GitHub.
    """
    return "".join(char for char in unicodedata.normalize("NFKD", name).casefold() if char.isalnum())
