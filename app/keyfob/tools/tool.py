"""A program that Keyfob can set up, import from, or both. Each has one
file in this folder and a line in `registry`.
"""

from __future__ import annotations

from dataclasses import dataclass

from keyfob.tools.entries import Format
from keyfob.tools.setup import Setup


@dataclass(frozen=True, slots=True)
class Tool:
    """`setup`: what `keyfob wire` and `unwire` do. `formats`: the
    plaintext files that `keyfob import` reads.
    """

    name: str
    setup: Setup | None = None
    formats: tuple[Format, ...] = ()
