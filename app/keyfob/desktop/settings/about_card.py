"""The part of Settings about Keyfob itself."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from keyfob.desktop.settings.about import About
from keyfob.desktop.shared.copy_button import CopyButton
from keyfob.desktop.shared.flow_layout import FlowLayout
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Elided, button, card, label

SHOW, HIDE = "Show licenses", "Hide licenses"
NOTE = "Diagnostics contain versions and settings, and no tokens, names, or paths."


class AboutCard(QWidget):
    """Version and licenses, where the files are, and diagnostics for a report."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        px = theme.px
        frame, inner = card(theme)
        inner.addWidget(label("About Keyfob", "heading"))
        self.version = label("", "strong", wrap=True)
        self.folders = QVBoxLayout()
        self.folders.setSpacing(px(2))
        self.licenses = label("", "small", wrap=True)
        self.licenses.hide()
        self.show_licenses = button(SHOW)
        self.show_licenses.clicked.connect(self._toggle)
        self.copy = CopyButton(theme, "Copy diagnostics", "Copy diagnostics")
        self.copy.setEnabled(False)
        buttons = FlowLayout(gap=px(9))
        buttons.addWidget(self.show_licenses)
        buttons.addWidget(self.copy)
        inner.addWidget(self.version)
        inner.addLayout(self.folders)
        inner.addWidget(self.licenses)
        inner.addLayout(buttons)
        inner.addWidget(label(NOTE, "hint", wrap=True))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(frame)

    def show_about(self, about: About, diagnostics: str) -> None:
        """Show it; `diagnostics` is what Copy diagnostics copies."""
        self.version.setText(f"Keyfob {about.version} · {about.license}")
        while (item := self.folders.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        for name, path in about.folders:
            self.folders.addWidget(Elided(f"{name}: {path}", "small", Qt.TextElideMode.ElideMiddle))
        self.licenses.setText("\n".join(about.libraries))
        self.copy.holds(diagnostics)
        self.copy.setEnabled(True)

    def _toggle(self) -> None:
        shown = self.licenses.isHidden()
        self.licenses.setVisible(shown)
        self.show_licenses.setText(HIDE if shown else SHOW)
        self.show_licenses.setAccessibleName(self.show_licenses.text())
