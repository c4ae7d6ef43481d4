"""Letters on coloured ground: accounts as circles with their provider's badge, providers as rounded squares.

Pictures are files that the engine fetched. They are read with limits,
and the letter is shown if one is not valid.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QImage, QImageReader, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QWidget

from keyfob.desktop.shared.palette import AVATARS, contrast, letter_on
from keyfob.desktop.shared.theme import Theme

EDGE_BELOW = 1.4  # contrast under which a badge needs an edge to be seen on its ground
PICTURE_MOST = 2048  # pixels a side: a larger one is not decoded
PICTURE_SIDE = 208  # kept at: the largest drawn, 66, on a screen of three times the density


@dataclass(frozen=True, slots=True)
class Face:
    """A user's circle: a letter on a colour, or a picture; and the provider's letter on its colour."""

    letter: str
    color: str
    badge: str
    badge_color: str
    picture: str = ""  # a file


def avatar_color(name: str) -> str:
    """Always the same colour for one name. Names that differ in one letter spread over all colours."""
    import hashlib  # not before the first paint

    return AVATARS[int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % len(AVATARS)]


@lru_cache(maxsize=64)
def picture(path: str) -> QImage | None:
    """A square of the picture in that file; None if it is not a picture or too large a one."""
    reader = QImageReader(path)
    reader.setAutoTransform(True)
    size = reader.size()
    if not size.isValid() or max(size.width(), size.height()) > PICTURE_MOST:
        return None
    image = reader.read()
    if image.isNull():
        return None
    side = min(image.width(), image.height())
    square = image.copy((image.width() - side) // 2, (image.height() - side) // 2, side, side)
    return square.scaled(PICTURE_SIDE, PICTURE_SIDE, mode=Qt.TransformationMode.SmoothTransformation)


def first_letter(text: str, otherwise: str = "?") -> str:
    """The first letter or digit, upper case."""
    return next((c.upper() for c in text if c.isalnum()), otherwise)


def paint_letter(painter: QPainter, box: QRectF, letter: str, ground: str, share: float = 0.4) -> None:
    """Draw a letter in the middle of `box`, `share` of its height, light or dark as `ground` needs."""
    font = QFont(painter.font())
    font.setPixelSize(max(round(box.height() * share), 1))
    font.setWeight(QFont.Weight.Bold)
    painter.setFont(font)
    painter.setPen(QColor(letter_on(ground)))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, letter)


def paint_face(painter: QPainter, box: QRectF, face: Face, behind: QColor) -> None:
    """`behind` is the ground it stands on: the badge is set off from the circle by a ring of it. A face
    without a letter for the badge has none.
    """
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    image = picture(face.picture) if face.picture else None
    if image is None:
        painter.setBrush(QColor(face.color))
        painter.drawEllipse(box)
        paint_letter(painter, box, face.letter, face.color)
    else:
        circle = QPainterPath()
        circle.addEllipse(box)
        painter.save()
        painter.setClipPath(circle)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(box, image)
        painter.restore()
    if not face.badge:
        painter.restore()
        return
    side = box.width() * (0.38 if box.width() > 50 else 0.44)
    over = box.width() * 0.07
    badge = QRectF(box.right() - side + over, box.bottom() - side + over, side, side)
    ring = max(box.width() * 0.035, 1.6)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(behind)
    painter.drawRoundedRect(badge.adjusted(-ring, -ring, ring, ring), side * 0.36, side * 0.36)
    painter.setBrush(QColor(face.badge_color))
    if contrast(face.badge_color, behind.name()) < EDGE_BELOW:
        painter.setPen(QPen(QColor(letter_on(face.badge_color)), ring * 0.5))
        painter.setOpacity(0.45)
        painter.drawRoundedRect(badge, side * 0.3, side * 0.3)
        painter.setOpacity(1)
        painter.setPen(Qt.PenStyle.NoPen)
        badge = badge.adjusted(ring * 0.25, ring * 0.25, -ring * 0.25, -ring * 0.25)
    painter.drawRoundedRect(badge, side * 0.3, side * 0.3)
    paint_letter(painter, badge, face.badge, face.badge_color, 0.62)
    painter.restore()


def paint_tile(painter: QPainter, box: QRectF, letter: str, color: str, edge: QColor | None = None) -> None:
    """A provider's tile; `edge` sets a dark tile off from a dark ground."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen if edge is None else edge)
    painter.setBrush(QColor(color))
    radius = box.width() * 0.27
    painter.drawRoundedRect(box, radius, radius)
    paint_letter(painter, box, letter, color, 0.44)
    painter.restore()


class Avatar(QWidget):
    """A face in a layout, `size` designed pixels wide, on the palette's colour `ground`. Decoration: the name
    next to it is what assistive technology reads.
    """

    def __init__(self, theme: Theme, size: int, ground: str) -> None:
        super().__init__()
        self._theme, self._ground = theme, ground
        self._face: Face | None = None
        self._side = theme.px(size)
        side = round(self._side * 1.08)  # the badge stands out
        self.setFixedSize(QSize(side, side))

    def show_face(self, face: Face) -> None:
        """Show a picture or an initial."""
        if face != self._face:
            self._face = face
            self.update()

    def paintEvent(self, _event: object) -> None:
        """Draw the face, in the theme's colours of now."""
        if self._face is not None:
            painter = QPainter(self)
            box = QRectF(0, 0, self._side, self._side)
            paint_face(painter, box, self._face, self._theme.color(self._ground))
            painter.end()


class Tile(QWidget):
    """A provider's tile in a layout, `size` designed pixels a side."""

    def __init__(
        self, theme: Theme, size: int, letter: str = "", color: str = "", *, edged: bool = True
    ) -> None:
        super().__init__()
        self._theme, self._letter, self._color, self._edged = theme, letter, color, edged
        self.setFixedSize(QSize(theme.px(size), theme.px(size)))

    def show_letter(self, letter: str, color: str) -> None:
        """Show another provider."""
        if (letter, color) != (self._letter, self._color):
            self._letter, self._color = letter, color
            self.update()

    def paintEvent(self, _event: object) -> None:
        """Draw the provider's letter on its colour."""
        if self._letter:
            painter = QPainter(self)
            box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
            edge = self._theme.color("edge") if self._edged else None
            paint_tile(painter, box, self._letter, self._color, edge)
            painter.end()
