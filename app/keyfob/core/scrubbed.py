"""Takes out of a provider's words what could be a secret or name somebody, for a report that a user sends.

Error codes, fields and plain words stay. What only looks like a token or a name goes too: a report lacks a
word rather than that it has one too many. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

REMOVED = "[removed]"
_EMAIL = re.compile(r"\S+@\S+")
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_RUN = re.compile(r"[A-Za-z0-9+/_=~.-]{5,}")
_CODE = re.compile(r"[A-Z]{2,12}-?\d{1,8}")  # a provider's own number for an error, such as AADSTS70000
_CAPITALIZED = re.compile(r"(?<![\w\[])[^\W\d_a-z][^\W\d_]*[^\W\d_A-Z]\b")
# Words that a sentence of a provider's begins with. Any other capitalized word may be somebody's name.
_PLAIN = frozenset((
    "a", "access", "account", "an", "api", "app", "application", "are", "authentication",
    "authorization", "bad", "bearer", "can", "cannot", "client", "code", "could", "credentials",
    "denied", "device", "error", "expired", "failed", "forbidden", "format", "grant", "incorrect",
    "insufficient", "internal", "invalid", "is", "it", "login", "malformed", "missing", "must", "no",
    "not", "oauth", "only", "openid", "parameter", "password", "permission", "please", "provided",
    "redirect", "refresh", "request", "required", "resource", "response", "scope", "secret", "server",
    "service", "session", "sign", "something", "state", "that", "the", "this", "to", "token", "too",
    "try", "unable", "unauthorized", "unexpected", "unknown", "unsupported", "uri", "url", "user", "we",
    "wrong", "you", "your",
))  # fmt: skip
_LONG = 24  # characters of a run in which capitals are mixed with small letters
_KNOWN_LEAST = 3  # characters of a known value that is looked for


def scrubbed(text: str, known: Iterable[str] = ()) -> str:
    """`text` without addresses, e-mail addresses, runs with digits and long runs of mixed letters, and
    without the words of the `known` values and capitalized words that are not usual in errors.
    """
    words = {word for value in known for word in (value, *re.split(r"[\s@._/-]+", value))}
    for word in sorted((word for word in words if len(word) >= _KNOWN_LEAST), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", REMOVED, text, flags=re.IGNORECASE)
    text = _ADDRESS.sub(REMOVED, _EMAIL.sub(REMOVED, text))
    text = _CAPITALIZED.sub(lambda found: found[0] if found[0].lower() in _PLAIN else REMOVED, text)
    return _RUN.sub(lambda found: REMOVED if _suspect(found[0]) else found[0], text)


def _suspect(run: str) -> bool:
    bare = run.strip(".")
    if _CODE.fullmatch(bare):
        return False
    if any(char.isdigit() for char in bare):
        return True
    return len(bare) >= _LONG and bare != bare.lower() and bare != bare.upper()
