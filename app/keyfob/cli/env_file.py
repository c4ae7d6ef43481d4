"""Files of variables for `keyfob exec --env-file`, in the format of `.env` files.

A value `keyfob://ACCOUNT` stands for a token of that account. The file itself holds no secret, so that it can
be shared and committed.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from keyfob.core.errors import Usage
from keyfob.core.text import plain

REFERENCE = "keyfob://"
SIZE_MOST = 1024 * 1024  # bytes


def read(path: Path) -> dict[str, str]:
    """The variables of a file, in its order; `$NAME` in a value stays as it is. Raises Usage."""
    from dotenv.parser import parse_stream  # loaded for such files alone

    name = plain(str(path), 200)
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(SIZE_MOST + 1)
        if len(text) > SIZE_MOST:
            raise Usage(f"{name} is longer than a file of variables can be")
        bindings = list(parse_stream(StringIO(text)))  # the file may be a pipe: --env-file <(...)
    except OSError as error:
        raise Usage(f"{name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Usage(f"{name} is not a text file in UTF-8") from error
    found: dict[str, str] = {}
    for binding in bindings:
        if binding.error:
            # Not its text: it may hold a secret of another program.
            raise Usage(f"Line {binding.original.line} of {name} is not NAME=VALUE")
        if binding.key is None:
            continue  # a comment, or nothing
        if binding.value is None:
            raise Usage(f"Line {binding.original.line} of {name} has no value", remedy="Write NAME=VALUE.")
        if "\0" in binding.key + binding.value:
            raise Usage(f"Line {binding.original.line} of {name} contains a null character")
        found[binding.key] = binding.value
    return found


def account_of(value: str) -> str | None:
    """The account that a value names, or None for an ordinary value."""
    return value.removeprefix(REFERENCE) if value.startswith(REFERENCE) else None
