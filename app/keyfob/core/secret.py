"""A value that must not be seen.

Every token, key, client secret and private key is a `Secret`. Printing, formatting, logging or pickling one
shows a placeholder, so that no traceback, log line or debugger view leaks it by accident. Only `reveal()`
returns the text, and a reviewer can find every call of it.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NoReturn


class Secret:
    """An immutable string whose text only `reveal()` gives. Compared in constant time; hashable."""

    __slots__ = ("_text",)
    _text: str

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError("a Secret holds text")
        object.__setattr__(self, "_text", text)

    def reveal(self) -> str:
        """The text itself. The caller owns it and must not log, print or store it outside the keychain."""
        text: str = self._text
        return text

    def fingerprint(self) -> str:
        """SHA-256 in hex: distinguishes two secrets without revealing
        either. Safe to store for random secrets.
        """
        return hashlib.sha256(self._text.encode()).hexdigest()

    def tail(self, count: int = 4) -> str:
        """The last characters, for the user to recognise a key by; empty if the key is too short for it."""
        return self._text[-count:] if len(self._text) >= 4 * count else ""

    def __bool__(self) -> bool:
        return bool(self._text)

    def __len__(self) -> int:
        return len(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret never changes")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")
