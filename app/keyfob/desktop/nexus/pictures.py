"""Pictures of mods: fetched and decoded off the GUI thread when they are first drawn, and kept for a while.

One QObject on the GUI thread. The files themselves are kept on disk by what fetches them.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QImage, QImageReader, QPainter, QPainterPath, QPixmap

from keyfob.core.errors import KeyfobError
from keyfob.desktop.shared import icons
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.shared.theme import Theme

AT_ONCE = 3  # fetched together
KEPT = 240  # pictures in memory
WAITING = 80  # wanted and not begun: those that scrolled by long ago are left out
LARGEST = 8192  # pixels a side: a larger one is not decoded
AGAIN = 60.0  # seconds after which one that could not be had is asked for again

Key = tuple[str, int, int]  # address, width and height in device pixels


class Pictures(QObject):
    """`of` returns a picture, or None and fetches it; `arrived` follows."""

    arrived = Signal(str)  # the address

    def __init__(
        self,
        fetch: Callable[[str], Path | None],
        parent: QObject,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fetch` returns the file of an address, or None if there is none. It is called off this thread."""
        super().__init__(parent)
        self._fetch, self._clock = fetch, clock
        self._held: OrderedDict[Key, QPixmap] = OrderedDict()
        self._wanted: OrderedDict[Key, None] = OrderedDict()
        self._not_before: dict[str, float] = {}
        self._running = 0
        self._closed = False

    def of(self, address: str, size: QSize, ratio: float) -> QPixmap | None:
        """The picture, cut to fill `size` (device-independent pixels) at `ratio`; None if it is not there."""
        if not address:
            return None
        key = (address, round(size.width() * ratio), round(size.height() * ratio))
        held = self._held.get(key)
        if held is not None:
            self._held.move_to_end(key)
            held.setDevicePixelRatio(ratio)
            return held
        if self._not_before.get(address, 0.0) <= self._clock():
            self._wanted[key] = None
            self._wanted.move_to_end(key)
            while len(self._wanted) > WAITING:
                self._wanted.popitem(last=False)
            self._next()
        return None

    @property
    def busy(self) -> bool:
        """Whether any is being fetched."""
        return self._running > 0

    def close(self) -> None:
        """Nothing more is fetched."""
        self._closed = True
        self._wanted.clear()

    def _next(self) -> None:
        while self._wanted and self._running < AT_ONCE and not self._closed:
            key, _ = self._wanted.popitem()  # what was drawn last is what is on screen
            self._not_before[key[0]] = math.inf
            self._running += 1
            Operation(self, partial(self._load, key), self._got).failing(self._broke).start()

    def _load(self, key: Key) -> tuple[Key, QImage | None]:
        address, width, height = key
        path = self._fetch(address)
        return key, None if path is None else filling(path, QSize(width, height))

    def _got(self, got: tuple[Key, QImage | None]) -> None:
        key, image = got
        self._running -= 1
        if image is None:
            self._not_before[key[0]] = self._clock() + AGAIN
        else:
            self._not_before.pop(key[0], None)
            self._held[key] = QPixmap.fromImage(image)
            while len(self._held) > KEPT:
                self._held.popitem(last=False)
            self.arrived.emit(key[0])
        self._next()

    def _broke(self, _error: KeyfobError) -> None:
        self._running -= 1  # the address stays marked: what breaks would break again
        self._next()


def filling(path: Path, size: QSize) -> QImage | None:
    """The picture in that file, cut to fill `size`; None if it is not a picture, or too large a one. Runs on
    any thread.
    """
    reader = QImageReader(str(path))
    reader.setAutoTransform(True)
    whole = reader.size()
    if not whole.isValid() or max(whole.width(), whole.height()) > LARGEST:
        return None
    reader.setScaledSize(whole.scaled(size, Qt.AspectRatioMode.KeepAspectRatioByExpanding))
    image = reader.read()
    if image.isNull():
        return None
    x, y = (image.width() - size.width()) // 2, (image.height() - size.height()) // 2
    return image.copy(x, y, size.width(), size.height())


def paint_picture(
    painter: QPainter, theme: Theme, frame: QPainterPath, picture: QPixmap | None, sign: float
) -> None:
    """Draw a picture into its frame, or a neutral tile with a sign of `sign` pixels."""
    box = frame.boundingRect()
    painter.save()
    painter.setPen(Qt.PenStyle.NoPen)
    painter.fillPath(frame, theme.color("quiet_tint"))
    if picture is not None:
        painter.setClipPath(frame, Qt.ClipOperation.IntersectClip)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawPixmap(box, picture, QRectF(picture.rect()))
    else:
        side = round(sign)
        ratio = painter.device().devicePixelRatioF()
        drawn = icons.pixmap("picture", theme.palette.ink3, side, ratio)
        painter.drawPixmap(round(box.center().x() - side / 2), round(box.center().y() - side / 2), drawn)
    painter.restore()
