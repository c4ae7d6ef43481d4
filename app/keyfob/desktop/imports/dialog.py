"""The dialog that offers to move keys from other tools' files: what was found, the result, and the old files.

Shows `presenter.Item`s and emits what the user asks for. Closing it moves nothing.
"""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from keyfob.desktop.imports.presenter import Item, Step
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.avatar import Tile
from keyfob.desktop.shared.confirm import Confirm
from keyfob.desktop.shared.dialog import ModalDialog
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Elided, Scroller, Switch, button, label, restyle

LEAD = (
    "Other tools on this computer keep these keys in plain files. Keyfob can move them to your keychain. "
    "It does not change the files unless you agree afterwards."
)


class ImportDialog(ModalDialog):
    """Offers to move keys from other tools' files into Keyfob."""

    move_asked = Signal(object)  # the numbers of the chosen items
    blank_asked = Signal()

    def __init__(self, theme: Theme, items: tuple[Item, ...], parent: QWidget | None = None) -> None:
        super().__init__("Move your keys to Keyfob", "Move your keys to Keyfob", parent)
        self._theme = theme
        self.title = label("Move your keys to Keyfob", "dialogTitle", wrap=True)
        self.lead = label(LEAD, "secondary", wrap=True)
        self.rows = [ItemRow(theme, item) for item in items]
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(theme.px(26), theme.px(4), theme.px(26), theme.px(8))
        column.setSpacing(theme.px(4))
        for row in self.rows:
            row.switch.toggled.connect(self._count)
            column.addWidget(row)
        column.addStretch(1)
        scroll = Scroller()
        scroll.hold(body)
        head = QVBoxLayout()
        head.setContentsMargins(theme.px(26), theme.px(24), theme.px(26), theme.px(8))
        head.setSpacing(theme.px(4))
        head.addWidget(self.title)
        head.addWidget(self.lead)
        self._build_plaintext()
        self.later = button("Not now")
        self.go = button("Move", "primary")
        self.go.setDefault(True)
        self.done_button = button("Done", "primary")
        self.done_button.hide()
        self.note = label("You can do this later in Settings.", "hint", wrap=True)
        self.later.clicked.connect(self.reject)
        self.done_button.clicked.connect(self.accept)
        self.go.clicked.connect(self._move)
        foot = QHBoxLayout()
        foot.setContentsMargins(theme.px(26), theme.px(10), theme.px(26), theme.px(22))
        foot.setSpacing(theme.px(9))
        foot.addWidget(self.note, 1)
        for each in (self.later, self.go, self.done_button):
            foot.addWidget(each)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(scroll, 1)
        layout.addWidget(self._plaintext)
        layout.addLayout(foot)
        self.resize(QSize(theme.px(600), theme.px(500)))
        self.setMinimumSize(QSize(theme.px(440), theme.px(340)))
        self._count()
        self.later.setFocus()

    def _build_plaintext(self) -> None:
        px = self._theme.px
        self._plaintext = QWidget()
        outer = QVBoxLayout(self._plaintext)
        outer.setContentsMargins(px(26), px(4), px(26), px(4))
        frame = QFrame()
        frame.setProperty("note", "warn")
        row = QHBoxLayout(frame)
        row.setContentsMargins(px(16), px(12), px(12), px(12))
        row.setSpacing(px(12))
        self.plaintext = label(
            "The moved keys are still in the old files, and all your programs can read them.",
            wrap=True,
        )
        self.blank = button("Remove from files…")
        self.blank.clicked.connect(self._ask_blank)
        row.addWidget(self.plaintext, 1)
        row.addWidget(self.blank)
        outer.addWidget(frame)
        self._plaintext.hide()

    # --- asking ---------------------------------------------------------------------------------------------

    def _count(self) -> None:
        count = sum(row.chosen for row in self.rows)
        self.go.setText(f"Move {count}" if count else "Move")
        self.go.setEnabled(count > 0)

    def _move(self) -> None:
        chosen = tuple(number for number, row in enumerate(self.rows) if row.chosen)
        for row in self.rows:
            row.begin()
        self.go.setEnabled(False)
        self.go.setText("Moving …")
        self.later.setEnabled(False)
        self.move_asked.emit(chosen)

    def _ask_blank(self) -> None:
        asked = Confirm(
            self._theme,
            "Remove the moved keys from the old files?",
            "Keyfob removes the moved keys from the files and changes nothing else. Tools that read these "
            "files must then get the key from Keyfob. A backup stays next to each file until you delete it.",
            "Remove",
            self,
        )
        asked.confirmed.connect(self._blank)
        asked.open()

    def _blank(self) -> None:
        self.blank.setEnabled(False)
        self.blank_asked.emit()

    # --- showing --------------------------------------------------------------------------------------------

    def step(self, step: Step) -> None:
        """One item is through."""
        self.rows[step.number].ended(step.words, good=step.good)

    def moved(self, plaintext: bool) -> None:
        """All are through. `plaintext`: keys that were moved are still in their files."""
        good = sum(row.good for row in self.rows)
        self.title.setText("Keys moved" if good else "Nothing was moved")
        waits = "Accounts that need you to sign in are in the list."
        self.lead.setText(waits if good else "The files did not change. You can try again later in Settings.")
        self._plaintext.setVisible(plaintext)
        self.note.setText("")
        self.later.hide()
        self.go.hide()
        announce(self, f"{self.title.text()}. {self.lead.text()}")
        self.done_button.show()
        self.done_button.setDefault(True)
        self.done_button.setFocus()

    def blanked(self, backups: tuple[str, ...]) -> None:
        """The keys are no longer in these files."""
        if not backups:
            return
        them = "this backup" if len(backups) == 1 else "these backups"
        self.plaintext.setText(
            (
                f"The old files no longer contain the keys. They are still in {them}. When your tools work, "
                f"delete {them}:\n"
            )
            + "\n".join(backups)
        )
        self.plaintext.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.blank.hide()
        announce(self, self.plaintext.text())

    def complain(self, text: str) -> None:
        """Show what went wrong, and let the user try again."""
        self.note.setText(text)
        self.note.setProperty("role", "problem")
        restyle(self.note)
        announce(self, text, urgent=True)
        self.blank.setEnabled(True)


class ItemRow(QWidget):
    """One thing that was found, with the switch that takes it along."""

    def __init__(self, theme: Theme, item: Item) -> None:
        super().__init__()
        self._item = item
        self.good = False
        self._title = Elided(item.title, "strong")
        self.note = label(item.note, "small", wrap=True)
        self.switch = Switch(theme, f"Move {item.title}")
        self.switch.setChecked(item.movable)
        self.switch.setEnabled(item.movable)
        texts = QVBoxLayout()
        texts.setSpacing(theme.px(1))
        texts.addWidget(self._title)
        texts.addWidget(self.note)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, theme.px(8), 0, theme.px(8))
        row.setSpacing(theme.px(14))
        row.addWidget(Tile(theme, 36, item.letter, item.color), 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(texts, 1)
        row.addWidget(self.switch, 0, Qt.AlignmentFlag.AlignVCenter)

    @property
    def chosen(self) -> bool:
        """Whether the user wants this key moved, and it can be."""
        return self.switch.isChecked() and self._item.movable

    def begin(self) -> None:
        """The move has begun: the choice stands."""
        self.switch.setEnabled(False)

    def ended(self, words: str, *, good: bool) -> None:
        """Show how the move of this key went."""
        self.good = good
        self.note.setText(words)
        self.note.setProperty("role", "fine" if good else "problem")
        restyle(self.note)
        self.switch.hide()
