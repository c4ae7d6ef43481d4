"""The secret that an engine (nginx, Caddy, Envoy) and the gateway share, so that nobody else gets a decision.

It stands in a file of Keyfob's data folder, as `KEYFOB_ENGINE_SECRET=…`, which systemd and Docker read as an
environment file, or in the environment.
"""

from __future__ import annotations

import hmac
import os
import secrets
import sys
import time
from pathlib import Path

from keyfob.core.errors import SettingWrong

VARIABLE = "KEYFOB_ENGINE_SECRET"
FILE = "engine.env"
SHORTEST = 32  # characters
LOOK_AGAIN = 1.0  # seconds


class EngineSecret:
    """What `/decide` compares with. The file may be made, changed or deleted while the gateway serves."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._looked_at = float("-inf")
        self._value: bytes | None = None

    def matches(self, given: str) -> bool:
        """In constant time. False if there is no secret."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_AGAIN:
            found = read_secret(self._file)
            self._value, self._looked_at = found.encode() if found is not None else None, now
        return self._value is not None and hmac.compare_digest(
            given.encode("utf-8", "surrogatepass"), self._value
        )


def read_secret(file: Path) -> str | None:
    """The environment's, else the file's; None if there is none. Raises SettingWrong if it is too short, or
    if other users can read the file.
    """
    found = os.environ.get(VARIABLE)
    if not found:
        try:
            text = file.read_text("utf-8")
            mode = file.stat().st_mode
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            raise SettingWrong(f"{file} cannot be read") from None
        if sys.platform != "win32" and mode & 0o007:
            raise SettingWrong(f"Other users can read {file}", remedy=f"Run: chmod 600 {file}")
        found = text.strip().removeprefix(f"{VARIABLE}=")
    if len(found) < SHORTEST or not found.isascii() or not found.isalnum():
        raise SettingWrong(f"{VARIABLE} must have at least {SHORTEST} letters and digits")
    return found


def make_secret(file: Path) -> str:
    """The secret of `read_secret`, made if there is none. Raises SettingWrong as that does."""
    found = read_secret(file)
    if found is None:
        found = secrets.token_hex(32)
        write_private(file, f"{VARIABLE}={found}\n")
    return found


def write_private(file: Path, text: str) -> None:
    """A file that only this user can read, complete or not there. Raises SettingWrong."""
    made = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
            out.write(text)
        made.replace(file)
    except OSError as error:
        made.unlink(missing_ok=True)
        raise SettingWrong(f"{file} cannot be written: {error.strerror}") from None
