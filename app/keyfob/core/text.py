"""Makes text from outside safe to show, to log or to use in a title.

Control characters, line breaks, terminal escapes and bidirectional overrides in an app's name or an error
description must not change a log, a terminal or a sentence on screen.
"""

from __future__ import annotations

import re
import unicodedata

# Overrides and isolates can make "moc.elgoog" read as "google.com".
_BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SCHEME = re.compile(r"^https?://", re.IGNORECASE)
_LABEL_STRIP = re.compile(r"[^a-z0-9._@-]+")


def plain(text: object, limit: int = 200) -> str:
    """One line of at most `limit` characters: controls escaped as
    `\\xNN`, bidi marks dropped, blanks folded.
    """
    line = " ".join(inert(text, limit * 4).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def inert(text: object, limit: int = 1_000_000) -> str:
    """As `plain`, but blanks and tabs stay as they are, for lines whose
    columns matter. What is over `limit` characters is cut off.
    """
    out: list[str] = []
    cut = str(text)[:limit]
    if cut.isascii() and cut.isprintable():
        return cut  # as nearly every line of a log is
    for char in cut:
        if char in _BIDI:
            continue
        category = unicodedata.category(char)
        if char in "\t\n\r ":
            out.append(char if char in "\t " else f"\\x{ord(char):02x}")
        elif category in ("Cc", "Cs", "Zl", "Zp"):
            out.append(f"\\x{ord(char):02x}")
        elif category == "Zs":
            out.append(" ")
        elif category != "Cf":
            out.append(char if char.isprintable() else "\ufffd")
    return "".join(out)


def label_from(text: str) -> str:
    """An account label: lower case, `[a-z0-9._@-]`, at most 64 characters, never empty."""
    return label_in(text) or "account"


def label_in(text: str) -> str:
    """As `label_from`, empty if nothing of the text can stand in a label. An address loses its scheme."""
    bare = _SCHEME.sub("", text, count=1)
    folded = unicodedata.normalize("NFKD", bare).encode("ascii", "ignore").decode().lower()
    return _LABEL_STRIP.sub("-", folded).strip("-.")[:64].rstrip("-.")
