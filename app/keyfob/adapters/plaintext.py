"""Other tools' plaintext files: read, and blanked once what they held is in the keychain.

Called by the importer. Blanking overwrites the secret's bytes where they stand before the file is written anew, so
that they are not left behind in freed blocks (as far as the file system writes in place), and keeps no backup.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from keyfob.adapters.home import write_private
from keyfob.core.errors import SettingWrong
from keyfob.core.secret import Secret

MOST_BYTES = 1024 * 1024 + 1


def read(path: Path) -> bytes | None:
    """The file's bytes, None where there is none. Raises SettingWrong where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SettingWrong(f"{path} cannot be read: {error.strerror}") from None


def blank(path: Path, secrets: Sequence[tuple[Secret, str]]) -> None:
    """Put each filler in its text's place; the lines of git's store that held one go with it. The mode stays.
    Raises SettingWrong."""
    real = path.resolve()
    try:
        mode = real.stat().st_mode & 0o777
        with open(real, "r+b") as file:
            data = file.read()
            gone = data
            for secret, _ in secrets:
                raw = secret.reveal().encode()
                gone = gone.replace(raw, b" " * len(raw))
            file.seek(0)
            file.write(gone)
            file.flush()
            os.fsync(file.fileno())
        write_private(
            real, without(data, [(secret.reveal().encode(), filler.encode()) for secret, filler in secrets])
        )
        os.chmod(real, mode)
    except OSError as error:
        raise SettingWrong(f"{path} cannot be written: {error.strerror}") from None


def without(data: bytes, pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The content with each text replaced: a `scheme://user:secret@host` line goes whole."""
    lines = []
    for line in data.split(b"\n"):
        held = [(raw, filler) for raw, filler in pairs if raw in line]
        if b"://" in line and any(b":" + raw + b"@" in line for raw, _ in held):
            continue
        for raw, filler in held:
            line = line.replace(raw, filler)
        lines.append(line)
    return b"\n".join(lines)
