"""The app's drawings, recoloured as they are loaded and sharp at every scale.

Each file in `resources/icons` is drawn in `currentColor`, one weight, on a 24 × 24 ground. Pixmaps are made
once for each (name, colour, size, scale). GUI thread only.
"""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from keyfob.core.resources import resources
from keyfob.desktop.shared.palette import TRAY

SCALES = (1.0, 1.5, 2.0, 3.0)
TRAY_SIZES = (16, 22, 24, 32, 48, 64)
APP_SIZES = (16, 22, 24, 32, 48, 64, 128, 256)


@lru_cache(maxsize=128)
def _drawing(name: str) -> str:
    return (resources() / "icons" / f"{name}.svg").read_text(encoding="utf-8")


def svg(name: str, color: str) -> QByteArray:
    """The drawing in that colour, as SVG. Raises FileNotFoundError for a name that is not ours."""
    return QByteArray(_drawing(name).replace("currentColor", color).encode())


@lru_cache(maxsize=512)
def pixmap(name: str, color: str, size: int, ratio: float = 1.0, gap: int = 0) -> QPixmap:
    """`size` in device-independent pixels; so is `gap`, empty room at the right."""
    side = max(round(size * ratio), 1)
    result = QPixmap(side + round(gap * ratio), side)
    result.fill(Qt.GlobalColor.transparent)
    painter = QPainter(result)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    QSvgRenderer(svg(name, color)).render(painter, QRectF(0, 0, side, side))
    painter.end()
    result.setDevicePixelRatio(ratio)
    return result


def icon(name: str, color: str, size: int, disabled: str | None = None, gap: int = 0) -> QIcon:
    """An icon for a button or menu of `size`; `disabled` is its colour while it cannot be pressed. `gap` is
    more room between it and the text, for Qt leaves little.
    """
    result = QIcon()
    for ratio in SCALES:
        result.addPixmap(pixmap(name, color, size, ratio, gap))
        if disabled:
            result.addPixmap(pixmap(name, disabled, size, ratio, gap), QIcon.Mode.Disabled)
    return result


def tray_icon(state: str) -> QIcon:
    """The icon for fine, renewing, needs_you or waiting: the key, alone or with ring, triangle or clock."""
    result = QIcon()
    for size in TRAY_SIZES:
        result.addPixmap(pixmap(f"tray-{state.replace('_', '-')}", TRAY[state], size))
    return result


def app_drawing(size: int) -> str:
    """The drawing of the app's icon that is sharp at `size` pixels: its edges lie on whole pixels there."""
    if size < 22:
        return "app-16"
    if size < 24:
        return "app-22"
    return "app-32" if size % 32 == 0 else "app"


def app_icon() -> QIcon:
    """The app's icon in all sizes that desktops ask for."""
    result = QIcon()
    for size in APP_SIZES:
        result.addPixmap(pixmap(app_drawing(size), TRAY["fine"], size))
    return result
