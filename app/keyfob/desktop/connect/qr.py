"""QR codes as rows of modules, for the device grant's page. Drawing is the page's."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module

Matrix = list[list[bool]]
BYTES_MOST = 600  # longer addresses make modules too small for a camera


@lru_cache(maxsize=4)
def qr_matrix(text: str) -> Matrix | None:
    """True is dark; without the quiet zone. None if `text` is too long to be shown well."""
    if len(text.encode()) > BYTES_MOST:
        return None
    segno = import_module("segno")  # loaded when the first code is shown: few sign-ins need one
    code = segno.make(text, error="m", micro=False, boost_error=False)
    return [[bool(module) for module in row] for row in code.matrix]
