"""A field for a day, in English as every other date of the window."""

from __future__ import annotations

from PySide6.QtCore import QDate, QLocale
from PySide6.QtWidgets import QDateEdit

from keyfob.desktop.shared.theme import Theme


class DayField(QDateEdit):
    """Found by its name. The style sheet hides its buttons: Qt's own way leaves no room for the text."""

    def __init__(self, theme: Theme, name: str, day: QDate, first: QDate) -> None:
        """`day` is shown at first; `first` is the first that can be chosen."""
        super().__init__(day)
        self.setAccessibleName(name)
        self.setLocale(QLocale(QLocale.Language.English))
        self.setDisplayFormat("d MMMM yyyy")
        self.setMinimumDate(first)
        self.lineEdit().setTextMargins(theme.px(9), 0, theme.px(9), 0)
