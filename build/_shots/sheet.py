"""A contact sheet for each theme: all pictures at 1 × in rows, each with its name."""

from __future__ import annotations

import os
from pathlib import Path

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QGuiApplication, QImage, QPainter

COLUMNS, CELL, LABEL, GAP = 5, QSize(440, 330), 26, 14
PAPER = {"light": ("#d6d8dc", "#15161a"), "dark": ("#3a3d44", "#f1f2f4")}  # ground and ink


def draw_sheets(folder: Path) -> list[Path]:
    """The sheets' paths, in `folder`, where the pictures are."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    app = QGuiApplication([])
    made = []
    for shade in PAPER:
        pictures = sorted(folder.glob(f"*-{shade}@1x.png"))
        if pictures:
            path = folder / f"sheet-{shade}.png"
            _sheet(shade, pictures).save(str(path))
            made.append(path)
    del app
    return made


def _sheet(shade: str, pictures: list[Path]) -> QImage:
    ground, ink = PAPER[shade]
    rows = -(-len(pictures) // COLUMNS)
    step = QSize(CELL.width() + GAP, CELL.height() + LABEL + GAP)
    sheet = QImage(COLUMNS * step.width() + GAP, rows * step.height() + GAP, QImage.Format.Format_RGB32)
    sheet.fill(QColor(ground))
    painter = QPainter(sheet)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    font = QFont()
    font.setPixelSize(14)
    painter.setFont(font)
    painter.setPen(QColor(ink))
    for number, path in enumerate(pictures):
        row, column = divmod(number, COLUMNS)
        at = QPoint(GAP + column * step.width(), GAP + row * step.height())
        name = path.name.removesuffix(f"-{shade}@1x.png")
        painter.drawText(QRect(at, QSize(CELL.width(), LABEL)), Qt.AlignmentFlag.AlignVCenter, name)
        picture = QImage(str(path))
        if picture.width() > CELL.width() or picture.height() > CELL.height():
            picture = picture.scaled(
                CELL, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
            )
        painter.drawImage(at + QPoint(0, LABEL), picture)
    painter.end()
    return sheet
