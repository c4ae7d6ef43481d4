"""The look of the app: Fusion, a stylesheet made from the palette, and sizes that grow with the user's font.

The app creates one `Theme` and passes it to everything that draws. It follows the system's light or dark mode
at once (`QStyleHints.colorScheme`) unless Settings says otherwise, and a wish for more contrast
(`QAccessibilityHints.contrastPreference`), and emits `changed`. It never reads settings. Nothing moves by
itself in the window, so a wish for less motion needs nothing.
"""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QMargins, QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontInfo, QPalette, QStyleHints
from PySide6.QtWidgets import QApplication, QStyleFactory

from keyfob.desktop.shared.fonts import fixed_family, text_font
from keyfob.desktop.shared.palette import DARK, HIGH_DARK, HIGH_LIGHT, LIGHT, Palette
from keyfob.desktop.shared.stylesheet import stylesheet

# A system font of 10 pt at 96 dpi, the common default: there our text is 14 px, and it grows in step.
USUAL_FONT_PX = 13.3


class Theme(QObject):
    """Palette and scale in force. Lives on the GUI thread."""

    changed = Signal()

    def __init__(self, app: QApplication, choice: str = "system") -> None:
        super().__init__(app)
        self._app = app
        self._choice = choice
        self.palette: Palette = LIGHT
        self.scale = scale_for(QFontInfo(app.font()).pixelSize())
        self._text_font = text_font(app.font())
        app.setStyle(QStyleFactory.create("Fusion"))
        # Both are kept: PySide takes Qt's hints for deleted as soon as nobody holds them.
        self._hints = app.styleHints()
        self._needs = accessibility_hints(self._hints)
        self._hints.colorSchemeChanged.connect(self._scheme_changed)
        if self._needs is not None:
            self._needs.contrastPreferenceChanged.connect(self.apply)
        self.apply()

    def choose(self, choice: str) -> None:
        """`system`, `light` or `dark`, as Settings has it."""
        if choice != self._choice:
            self._choice = choice
            self.apply()

    def px(self, size: float) -> int:
        """`size` as designed at the usual font, in the pixels of this one."""
        return round(size * self.scale)

    def margins(self, left: float, top: float, right: float, bottom: float) -> QMargins:
        """Of a layout, as designed at the usual font, in the pixels of this one."""
        return QMargins(self.px(left), self.px(top), self.px(right), self.px(bottom))

    def color(self, name: str) -> QColor:
        """A palette colour by its field's name."""
        return QColor(getattr(self.palette, name))

    def font(self, size: float = 14, weight: int = 400) -> QFont:
        """The app's font in `size` pixels before scaling, with `weight` from 1 to 1000."""
        font = QFont(self._text_font)
        font.setPixelSize(max(self.px(size), 1))
        font.setWeight(QFont.Weight(weight))
        return font

    def apply(self) -> None:
        """Set the palette, the font and the style sheet of the whole app, and emit `changed`."""
        dark = self._choice == "dark" or (self._choice == "system" and self._system_is_dark())
        usual, high = (DARK, HIGH_DARK) if dark else (LIGHT, HIGH_LIGHT)
        self.palette = high if self._more_contrast() else usual
        self._app.setFont(self.font())
        self._app.setPalette(self._qt_palette())
        self._app.setStyleSheet(stylesheet(self.palette, self.px, fixed_family()))
        self.changed.emit()

    def _system_is_dark(self) -> bool:
        return self._hints.colorScheme() == Qt.ColorScheme.Dark

    def _more_contrast(self) -> bool:
        needs = self._needs
        return needs is not None and needs.contrastPreference() == Qt.ContrastPreference.HighContrast

    def _scheme_changed(self) -> None:
        if self._choice == "system":
            self.apply()

    def _qt_palette(self) -> QPalette:
        role, result = QPalette.ColorRole, QPalette()
        for where, name in (
            (role.Window, "bg"), (role.WindowText, "ink"), (role.Base, "field"), (role.AlternateBase, "side"),
            (role.Text, "ink"), (role.Button, "panel"), (role.ButtonText, "ink"), (role.Highlight, "accent"),
            (role.HighlightedText, "accent_ink"), (role.PlaceholderText, "ink3"), (role.ToolTipBase, "panel"),
            (role.ToolTipText, "ink"), (role.Link, "accent"), (role.LinkVisited, "accent"),
            (role.Accent, "accent"),
        ):  # fmt: skip
            result.setColor(where, self.color(name))
        for where in (role.WindowText, role.Text, role.ButtonText):
            result.setColor(QPalette.ColorGroup.Disabled, where, self.color("disabled"))
        return result


def accessibility_hints(hints: QStyleHints) -> Any:  # noqa: ANN401 - its type is new in Qt 6.10
    """What the system says of its user's needs, a QAccessibilityHints; None before Qt 6.10."""
    ask = getattr(hints, "accessibility", None)
    return None if ask is None else ask()


def scale_for(system_font_px: float) -> float:
    """How much larger than designed to draw for a system font of that size; never smaller than designed."""
    return min(max(system_font_px / USUAL_FONT_PX, 1.0), 3.0)
