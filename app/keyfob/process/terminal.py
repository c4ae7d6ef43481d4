"""Whether a user runs this command who can answer the keychain's prompt."""

from __future__ import annotations

import os
import sys

ASKABLE = (
    "keychain_locked",
    "keychain_withheld",
    "keychain_not_set_up",
)  # the codes that a prompt can settle


def has_screen() -> bool:
    """Whether the system could show a prompt. macOS and Windows always prompt, whatever this says."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def needs_screen(code: str) -> bool:
    """Whether this error passes when a prompt is answered, and this session has no screen to show one."""
    return code in ASKABLE and sys.platform not in ("darwin", "win32") and not has_screen()


def can_ask() -> bool:
    """Whether somebody sits at this command who can answer a prompt. stdin and stdout may be pipes: they are
    in `$(keyfob token …)` and in a credential helper.
    """
    return sys.platform not in ("darwin", "win32") and has_screen() and sys.stderr.isatty()
