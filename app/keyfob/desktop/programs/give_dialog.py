"""The dialog Give a program access: the form, then the key, which is shown once."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from keyfob.core.secret import Secret
from keyfob.desktop.programs.give_form import GiveForm
from keyfob.desktop.programs.given_view import GivenView
from keyfob.desktop.programs.models import Draft, Live, Summary
from keyfob.desktop.shared.clipboard import SecretClipboard
from keyfob.desktop.shared.confirm import Confirm
from keyfob.desktop.shared.copy_button import CopyButton
from keyfob.desktop.shared.dialog import ModalDialog
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Scroller, button, label, rule

TITLE = "Give a program access"
LEAD = "It gets its own key and never sees your token."
ROOM, LEAST = 60, 300  # designed pixels: of the screen that is left free, and of the least height
TURNS_ON = "This turns the gateway on."


class GiveDialog(ModalDialog):
    """`asked` with a `Wanted`; the answer is `show_given` or `complain`."""

    asked = Signal(object)

    def __init__(self, theme: Theme, draft: Draft, clipboard: SecretClipboard, parent: QWidget) -> None:
        super().__init__(TITLE, TITLE, parent)
        px = theme.px
        self._theme, self._clipboard = theme, clipboard
        self.form = GiveForm(theme, draft)
        self.given: GivenView | None = None
        self.question: Confirm | None = None
        self._copied = False  # the key
        self._head = QWidget()
        head = QVBoxLayout(self._head)
        head.setContentsMargins(0, 0, 0, px(14))
        head.setSpacing(px(3))
        head.addWidget(label(TITLE, "dialogTitle", wrap=True))
        head.addWidget(label(LEAD, "secondary", wrap=True))
        self.problem = label("", "problem", wrap=True)
        self.problem.hide()
        self._hint = label(TURNS_ON if draft.turns_on else "", "hint", wrap=True)
        self._hint.setContentsMargins(px(6), 0, 0, 0)  # as the texts above; the link's button has this room
        self._body = QVBoxLayout()
        self._body.setContentsMargins(theme.margins(26, 22, 26, 20))
        self._body.setSpacing(px(6))
        self._body.addWidget(self._head)
        self._body.addWidget(self.form)
        self._body.addWidget(self.problem)
        self.cancel = button("Cancel")
        self.cancel.clicked.connect(self.reject)
        self.create_button = button("Create key", "primary")
        self.create_button.setDefault(True)
        self.create_button.clicked.connect(self._create)
        self.variables = CopyButton(
            theme, "Copy as environment variables", "Copy as environment variables", "link", clipboard
        )
        self.variables.clicked.connect(self._has_copied)
        self.variables.hide()
        self.done_button = button("Done", "primary")
        self.done_button.clicked.connect(self.accept)
        self.done_button.hide()
        self._foot = QHBoxLayout()
        self._foot.setContentsMargins(theme.margins(20, 13, 26, 15))
        self._foot.setSpacing(px(9))
        self._foot.addWidget(self.variables)
        self._foot.addWidget(self._hint, 1)
        for each in (self.cancel, self.create_button, self.done_button):
            self._foot.addWidget(each)
        self._whole = QWidget()
        self._whole.setLayout(self._body)
        self._whole.installEventFilter(self)
        scroll = Scroller()
        scroll.hold(self._whole)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(scroll, 1)
        layout.addWidget(rule())
        layout.addLayout(self._foot)
        self.setFixedWidth(px(540))
        self.form.changed.connect(self._changed)
        self._changed()
        self.form.name.edit.setFocus()

    def complain(self, field: str, text: str) -> None:
        """It was refused: say why, at `name` or `path` or below the form. Nothing that was typed is lost."""
        self._busy(False)
        if field:
            self.form.complain(field, text)
        else:
            self.problem.setText(text)
            self.problem.show()

    def show_given(self, summary: Summary, key: Secret) -> None:
        """The form goes; address and key come."""
        for part in (self._head, self.form, self.problem, self._hint, self.cancel, self.create_button):
            part.hide()
        self.given = GivenView(self._theme, summary, key, self._clipboard)
        self._body.addWidget(self.given)
        self.given.show()  # at once, so that it counts for the height
        self.given.copy_key.clicked.connect(self._has_copied)
        address, secret = summary.variables
        self.variables.holds(Secret(f"{address}={summary.address}\n{secret}={key.reveal()}\n"))
        self.variables.show()
        self._foot.insertStretch(1, 1)
        self.done_button.show()
        self.done_button.setDefault(True)
        self.setAccessibleName(f"{summary.name} can act as {summary.account}")
        for first, second in (
            (self.given.copy_address, self.given.copy_key),
            (self.given.copy_key, self.variables),
            (self.variables, self.done_button),
        ):
            QWidget.setTabOrder(first, second)
        self.given.copy_address.setFocus()

    def show_live(self, live: Live) -> None:
        """Whether the program has called yet."""
        if self.given is not None:
            self.given.show_live(live)

    def _changed(self) -> None:
        self.create_button.setEnabled(self.form.filled)
        self.problem.hide()

    def fit_height(self) -> None:
        """Take the height that the texts need. On a screen that has less, the body scrolls and the buttons
        stay.
        """
        foot = self._foot.totalSizeHint().height() + 1
        room = self.screen().availableGeometry().height() - self._theme.px(ROOM)
        height = min(self._body.totalHeightForWidth(self.width()) + foot, room)
        self.setMinimumHeight(min(height, self._theme.px(LEAST)))
        self.resize(self.width(), height)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Fit again when the body needs another height: new labels get their fonts after they were added."""
        if event.type() == QEvent.Type.LayoutRequest and self.isVisible():
            self.fit_height()
        return super().eventFilter(watched, event)

    def reject(self) -> None:
        """Cancel, Escape or the title bar's cross. What was typed, or a key that was not copied, is not lost
        without a question.
        """
        if self.given is None:
            words = ("Discard what you typed?", "Keyfob has not made a key.", "Discard")
            asks = self.form.touched
        else:
            words = ("Close without the key?", "Keyfob cannot show it again.", "Close")
            asks = not self._copied and not self.given.works
        if not (self.isVisible() and asks):
            self.end()
            return
        question = self.question = Confirm(self._theme, *words, self)
        question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        question.confirmed.connect(self.end)
        question.open()

    def end(self) -> None:
        """Close without a question: the app ends, or the user has answered it."""
        super().reject()

    def _has_copied(self) -> None:
        self._copied = True

    def _create(self) -> None:
        self._busy(True)
        self.asked.emit(self.form.wanted())

    def _busy(self, busy: bool) -> None:
        self.form.setEnabled(not busy)
        self.create_button.setEnabled(not busy and self.form.filled)
