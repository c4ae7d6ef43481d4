"""An address as a QR code of block characters, for phones. Nothing if the QR library is not installed."""

from __future__ import annotations

from importlib import import_module


def lines(text: str) -> list[str]:
    """Two rows of modules a line; dark on light whatever the terminal's
    colours, with the quiet zone scanners need.
    """
    try:
        segno = import_module("segno")
    except ModuleNotFoundError:
        return []
    matrix = [[bool(cell) for cell in row] for row in segno.make(text, micro=False).matrix_iter(border=2)]
    if len(matrix) % 2:
        matrix.append([False] * len(matrix[0]))
    out = []
    for upper, lower in zip(matrix[::2], matrix[1::2], strict=True):
        cells = [" ▄▀█"[2 * (not top) + (not bottom)] for top, bottom in zip(upper, lower, strict=True)]
        out.append("\x1b[97;40m" + "".join(cells) + "\x1b[0m")
    return out
