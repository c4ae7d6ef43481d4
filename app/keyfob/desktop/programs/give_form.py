"""The form of Give a program access: program, account, what it may do, which paths, and until when."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QDate, QLocale, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtWidgets import (
    QBoxLayout,
    QButtonGroup,
    QHBoxLayout,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from keyfob.core.text import plain
from keyfob.desktop.connect.form_parts import Field
from keyfob.desktop.programs.models import AccountChoice, Draft, Wanted
from keyfob.desktop.shared.avatar import Face, paint_face
from keyfob.desktop.shared.day_field import DayField
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Choice, Picture, label

FACE = 22
# Words, and the days that are added to today; None: no end; -1: a date of one's own.
ENDS: Sequence[tuple[str, int | None]] = (
    ("Today", 0), ("In 1 day", 1), ("In 9 days", 9), ("In a month", 30), ("No end", None), ("On a date…", -1),
)  # fmt: skip
USUAL = 2  # of ENDS
NAME_MOST = 60
NAME_HINT = "A name that you will recognize later."


class GiveForm(QWidget):
    """Shows a `Draft`. `changed` follows each change; `wanted` is what was entered."""

    changed = Signal()

    def __init__(self, theme: Theme, draft: Draft) -> None:
        super().__init__()
        px = theme.px
        self._theme, self._draft = theme, draft
        self.name = Field(theme, "Program", example="release-bot", hint=NAME_HINT)
        self.name.edit.setMaxLength(NAME_MOST)
        self.name.edit.setText(plain(draft.name, NAME_MOST))
        self.account = Choice(theme, "Account")
        self.account.setIconSize(QSize(px(FACE), px(FACE)))
        for choice in draft.accounts:
            self.account.addItem(
                _picture(theme, choice.face), f"{choice.name} · {choice.provider}", choice.id
            )
        self.account.setCurrentIndex(max(self.account.findData(draft.account), 0))
        self._note = label("", "hint", wrap=True)
        self._refusal = QWidget()
        refusal = QHBoxLayout(self._refusal)
        refusal.setContentsMargins(0, 0, 0, 0)
        refusal.setSpacing(px(7))
        self._reason = label("", "problem", wrap=True)
        refusal.addWidget(Picture(theme, "blocked", "bad", 15), 0, Qt.AlignmentFlag.AlignTop)
        refusal.addWidget(self._reason, 1)
        self.reads, self.writes = QRadioButton("Read only"), QRadioButton("Read and write")
        (self.reads if draft.reads else self.writes).setChecked(True)
        self._rights = QButtonGroup(self)
        self.path = Field(theme, "Only under this path", example="/path", hint="Optional.")
        self.path.edit.setProperty("mono", True)
        self.path.edit.setText(plain(draft.path, 300))
        self.until = Choice(theme, "Until")
        self.until.addItems([words for words, _ in ENDS])
        self.until.setCurrentIndex(USUAL)
        today = QDate.currentDate()
        self.day = DayField(theme, "Last day", today.addDays(14), today)
        self._end = label("", "hint", wrap=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(px(14))
        column.addWidget(self.name)
        column.addLayout(self._build_account())
        column.addLayout(self._build_rights())
        column.addLayout(self._build_limits())
        self.note = label(draft.note, "hint", wrap=True)
        self.note.setVisible(bool(draft.note))
        column.addWidget(self.note)
        self._began = self.name.edit.text(), self.path.edit.text()
        self._wire()
        self._account_changed()
        self._until_changed()

    def _build_account(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(self._theme.px(5))
        column.addWidget(label("Account", "strong"))
        column.addWidget(self.account)
        column.addWidget(self._refusal)
        column.addWidget(self._note)
        return column

    def _build_rights(self) -> QVBoxLayout:
        px = self._theme.px
        column = QVBoxLayout()
        column.setSpacing(px(4))
        column.addWidget(label("What it may do", "strong"))
        for radio, methods in (
            (self.reads, "GET HEAD OPTIONS"),
            (self.writes, "GET HEAD OPTIONS POST PUT PATCH DELETE"),
        ):
            self._rights.addButton(radio)
            radio.setAccessibleDescription(methods)
            radio.setProperty("light", True)
            line = label(methods, "scope", wrap=True)
            line.setContentsMargins(px(16) + px(10) + 4, 0, 0, px(3))  # below the words of the button
            column.addWidget(radio)
            column.addWidget(line)
        self._access = label("", "hint", wrap=True)
        column.addWidget(self._access)
        return column

    def _build_limits(self) -> QBoxLayout:
        px = self._theme.px
        end = QVBoxLayout()
        end.setSpacing(px(5))
        end.addWidget(label("Until", "strong"))
        end.addWidget(self.until)
        end.addWidget(self.day)
        end.addWidget(self._end)
        end.addStretch(1)
        path = QVBoxLayout()
        path.addWidget(self.path)
        path.addStretch(1)
        row = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        row.setSpacing(px(16))
        row.addLayout(path, 1)
        row.addLayout(end, 1)
        return row

    def _wire(self) -> None:
        self.name.changed.connect(self._typed)
        self.path.changed.connect(self._typed)
        self.account.currentIndexChanged.connect(self._account_changed)
        self.until.currentIndexChanged.connect(self._until_changed)
        self.day.dateChanged.connect(self._until_changed)
        self._rights.buttonClicked.connect(lambda _: self.changed.emit())

    # --- what was entered -----------------------------------------------------------------------------------

    @property
    def choice(self) -> AccountChoice | None:
        """The account that is chosen."""
        number = self.account.currentIndex()
        return self._draft.accounts[number] if 0 <= number < len(self._draft.accounts) else None

    @property
    def filled(self) -> bool:
        """There is a name, and other programs may use the account."""
        return bool(self.name.edit.text().strip()) and self.choice is not None and not self.choice.refusal

    @property
    def touched(self) -> bool:
        """Something was typed."""
        typed = (self.name.edit.text(), self.path.edit.text())
        return typed != self._began

    def wanted(self) -> Wanted:
        """What was entered."""
        assert self.choice is not None
        return Wanted(
            self.name.edit.text().strip(),
            self.choice.id,
            self.reads.isChecked(),
            self.path.edit.text(),
            self._last_day(),
            self._draft.per_hour,
        )

    def _last_day(self) -> str | None:
        days = ENDS[self.until.currentIndex()][1]
        if days is None:
            return None
        day = self.day.date() if days < 0 else QDate.currentDate().addDays(days)
        return day.toString(Qt.DateFormat.ISODate)

    def complain(self, field: str, text: str) -> None:
        """Say what is wrong with `name` or `path`, and go there."""
        wrong = self.path if field == "path" else self.name
        wrong.complain(text)
        wrong.edit.setFocus()
        wrong.edit.selectAll()
        self.changed.emit()

    # --- what follows from it -------------------------------------------------------------------------------

    def _typed(self) -> None:
        for field in (self.name, self.path):
            if field.edit.hasFocus():
                field.complain("")
        self.changed.emit()

    def _account_changed(self) -> None:
        choice = self.choice
        refusal = choice.refusal if choice is not None else ""
        note = choice.note if choice is not None and not refusal else ""
        self._reason.setText(refusal)
        self._refusal.setVisible(bool(refusal))
        self.account.setAccessibleDescription(refusal or note)
        self._note.setText(note)
        self._note.setVisible(bool(note))
        access = choice.access if choice is not None else ""
        self._access.setText(f"Never more than the account itself may do: {access}." if access else "")
        self._access.setVisible(bool(access))
        self.path.edit.setPlaceholderText(choice.path if choice is not None else "")
        self.changed.emit()

    def _until_changed(self) -> None:
        own = ENDS[self.until.currentIndex()][1] == -1
        self.day.setVisible(own)
        last = self._last_day()
        if last is None:
            self._end.setText("You can end it at any time.")
        else:
            english = QLocale(QLocale.Language.English)
            day = english.toString(QDate.fromString(last, Qt.DateFormat.ISODate), "d MMMM")
            self._end.setText(f"{'Until' if own else day + ','} 23:59. You can end it sooner.")
        self.changed.emit()


def _picture(theme: Theme, face: Face) -> QIcon:
    """The account's face, sharp at each scale."""
    icon, side = QIcon(), theme.px(FACE)
    for ratio in (1.0, 1.5, 2.0, 3.0):
        drawn = QPixmap(round(side * ratio), round(side * ratio))
        drawn.fill(Qt.GlobalColor.transparent)
        painter = QPainter(drawn)
        bare = Face(face.letter, face.color, "", face.badge_color, face.picture)
        paint_face(painter, QRectF(drawn.rect()), bare, theme.color("panel"))
        painter.end()
        drawn.setDevicePixelRatio(ratio)
        icon.addPixmap(drawn)
    return icon
