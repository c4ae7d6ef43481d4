"""Speaks the agent's socket. Imports nothing heavy: the `token` command's fast path is here."""

from __future__ import annotations

from collections.abc import Sequence


def fast_token(arguments: Sequence[str]) -> int | None:
    """`keyfob token` through a running agent: its exit code, or None where the whole program has to do it."""
    return None
