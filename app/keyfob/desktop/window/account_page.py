"""The details of one account. Shows a `Detail` and emits what the user asks for. Holds no service."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QKeySequence, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QMenu, QSizePolicy, QVBoxLayout, QWidget

from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.avatar import Avatar
from keyfob.desktop.shared.flow_layout import FlowLayout
from keyfob.desktop.shared.outside_text import set_tooltip
from keyfob.desktop.shared.status_widgets import Pill
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Elided, IconButton, Label, Scroller, button, restyle
from keyfob.desktop.window.account_cards import AccessCard, FactsCard, HistoryCard, LifeCard, NeedCard
from keyfob.desktop.window.models import STATUS_WORDS, Detail

WIDEST = 880  # designed pixels of the content: a wider line is hard to read
SIDE_BY_SIDE = 560  # designed pixels of width from which the two small cards stand next to each other


class AccountPage(QWidget):
    """`asked(action, account key)`: renew, test, copy, disconnect, reconnect, remove, rename, copy_name,
    switch_method, add_another, copy_details, history, more_access. `menu` is the account's, for its row in
    the list too.
    """

    asked = Signal(str, str)
    refresh_asked = Signal()  # of what is shown in place of the page

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("detail")
        self._theme = theme
        self._model: Detail | None = None
        self._leads = True
        self._above: QWidget | None = None  # what stands in place of the head
        self._said: tuple[str, str] | None = None  # the last account and status that were not "renewing"
        self._build_head()
        self._need, self._life = NeedCard(theme), LifeCard(theme)
        self._access, self._facts = AccessCard(theme), FactsCard(theme)
        self._history = HistoryCard(theme)
        self._build_buttons()
        column = QWidget()
        column.setMaximumWidth(theme.px(WIDEST))
        column.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        inner = QVBoxLayout(column)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(theme.px(16))
        inner.addWidget(self._head)
        inner.addWidget(self._need.frame)
        inner.addWidget(self._life.frame)
        self._pair = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._pair.setSpacing(theme.px(16))
        self._pair.addWidget(self._access.frame, 1)
        self._pair.addWidget(self._facts.frame, 1)
        inner.addLayout(self._pair)
        inner.addWidget(self._history)
        inner.addLayout(self._buttons)
        inner.addStretch(1)
        body = QWidget()
        middle = QHBoxLayout(body)
        middle.setContentsMargins(theme.px(30), theme.px(24), theme.px(30), theme.px(24))
        middle.setSpacing(0)
        middle.addStretch(1)
        middle.addWidget(column, 1000)
        middle.addStretch(1)
        self._scroll = Scroller()
        self._scroll.hold(body)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(0)
        self._layout.addWidget(self._scroll)
        theme.changed.connect(self._restyle)

    # --- parts ----------------------------------------------------------------------------------------------

    def _build_head(self) -> None:
        theme = self._theme
        self.avatar = Avatar(theme, 66, "bg")
        self.title = Elided("", "title")
        self.subtitle = Elided("", "secondary")
        self.pill = Pill(theme)
        self.more = IconButton(theme, "more", "More", "quiet")
        self.menu = QMenu(self.more)
        self.menu.setToolTipsVisible(True)
        self.rename_action = self._action("Rename…", "rename", "F2")
        self._action("Copy name for tools", "copy_name")
        self.copy_action = self._action("Copy token", "copy")
        self._action("Show all activity…", "history")
        self._action("Connected programs…", "programs")
        self.menu.addSeparator()
        self.sign_in_action = self._action("Sign in again…", "reconnect")
        self._action("Change sign-in method…", "switch_method")
        self.another_action = self._action("Add another…", "add_another")
        self.menu.addSeparator()
        self.disconnect_action = self._action("Disconnect…", "disconnect")
        self.remove_action = self._action("Remove…", "remove")
        self.more.setMenu(self.menu)
        names = QVBoxLayout()
        names.setSpacing(theme.px(3))
        names.addStretch(1)
        names.addWidget(self.title)
        names.addWidget(self.subtitle)
        names.addStretch(1)
        self._head = QWidget()
        head = QHBoxLayout(self._head)
        head.setContentsMargins(0, 0, 0, 0)
        head.setSpacing(theme.px(16))
        head.addWidget(self.avatar)
        head.addLayout(names, 1)
        head.addWidget(self.pill)
        head.addWidget(self.more)

    def _action(self, text: str, asked: str, keys: str | None = None) -> QAction:
        action = QAction(text, self.menu)
        action.setData(asked)
        if keys:
            action.setShortcut(QKeySequence(keys))
            self.addAction(action)
        action.triggered.connect(self._menu_asked)
        self.menu.addAction(action)
        return action

    def _build_buttons(self) -> None:
        self.reconnect, self.copy = self._need.reconnect, self._life.copy
        self.renew = button("Renew now")
        self.test = button("Test connection")
        self.remove = button("Remove", "quiet")
        self.disconnect_button = button("Disconnect", "danger")
        self.remove.setProperty("push", True)
        self._buttons = FlowLayout(gap=self._theme.px(9))
        for widget in (self.renew, self.test, self.remove, self.disconnect_button):
            self._buttons.addWidget(widget)
        for widget, asked in (
            (self.reconnect, "reconnect"),
            (self.copy, "copy"),
            *((each, "copy_details") for each in self._need.copies),
            (self._life.copy_details, "copy_details"),
            (self._access.more, "more_access"),
            (self.renew, "renew"),
            (self.test, "test"),
            (self.remove, "remove"),
            (self.disconnect_button, "disconnect"),
        ):
            widget.setObjectName(f"ask_{asked}")
            widget.clicked.connect(self._button_asked)
        self._history.all_asked.connect(self._history_asked)

    # --- showing --------------------------------------------------------------------------------------------

    @property
    def note(self) -> Label:
        """The smaller line of the token's card."""
        return self._life.note

    @property
    def narrower(self) -> Label:
        """What was requested and not granted."""
        return self._access.narrower

    def show_above(self, page: QWidget | None, *, whole: bool = False) -> None:
        """Show `page` in place of the head, or in place of everything if `whole`. None: the page as every
        account has it.
        """
        if page is not self._above:
            if self._above is not None:
                self._above.hide()
            if page is not None:
                self._layout.insertWidget(0, page)
                page.show()
            self._above = page
        if page is not None:
            self._layout.setStretchFactor(page, 1 if whole else 0)
            self._layout.setStretchFactor(self._scroll, 1)
        self._head.setVisible(page is None)
        self._scroll.setVisible(not whole)

    def refresh(self) -> None:
        """Renew the token, or ask again for what is shown in place of the page."""
        if self._scroll.isHidden():
            self.refresh_asked.emit()
        else:
            self.renew.click()

    def show_model(self, model: Detail, *, leads: bool = True) -> None:
        """Show this account. Cheap where little has changed. `leads`: its button may be the primary one."""
        if (model, leads) == (self._model, self._leads):
            return
        self._model, self._leads = model, leads
        self.avatar.show_face(model.face)
        self.title.show_text(model.title)
        self.subtitle.show_text(model.subtitle)
        self.pill.show_status(model.status, model.tone, model.shape)
        self._need.show_problem(
            model.problem, details=bool(model.details), leads=leads, usable=not model.busy
        )
        self._life.show_model(model)
        self._access.show_model(model)
        self._facts.show_facts(model.facts)
        self._history.show_model(model)
        self._show_buttons(model)
        self._say_status(model)

    def _say_status(self, model: Detail) -> None:
        """Have a change of this account's status read. A renewal that passes is none."""
        if model.status == STATUS_WORDS["renewing"]:
            return
        before, self._said = self._said, (model.key, model.status)
        if before is not None and before[0] == model.key and before != self._said:
            announce(self, f"{model.title}: {model.status}. {_what(model)}")

    def _show_buttons(self, model: Detail) -> None:
        self.renew.setEnabled(model.can_renew)
        set_tooltip(self.renew, model.renew_reason or "F5")
        self.renew.setText("Renewing …" if model.busy and model.status == "Renewing" else "Renew now")
        self.test.setEnabled(model.can_test)
        live = model.connected
        self.renew.setVisible(live)
        self.test.setVisible(model.tests)
        self.disconnect_button.setVisible(live or model.needs_person)
        self.disconnect_button.setEnabled(not model.busy)
        self.remove.setEnabled(not model.busy)
        again = live and not model.api_key
        self.sign_in_action.setText(
            f"{model.reconnect_words} again…" if again else f"{model.reconnect_words}…"
        )
        title = model.provider_title.replace("&", "&&")
        self.another_action.setText(f"Add another {title} account…")
        self.copy_action.setEnabled(model.can_copy)
        set_tooltip(self.copy_action, model.copy_reason)
        self.disconnect_action.setEnabled((live or model.needs_person) and not model.busy)
        self.remove_action.setEnabled(not model.busy)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the two columns side by side if there is room."""
        super().resizeEvent(event)
        wide = self.width() >= self._theme.px(SIDE_BY_SIDE)
        direction = QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom
        if self._pair.direction() != direction:
            self._pair.setDirection(direction)
        self._history.side_by_side(wide)

    def _restyle(self) -> None:
        model, self._model = self._model, None
        if model is not None:
            self.show_model(model, leads=self._leads)
        cards = (self._need, self._life, self._access, self._facts, self._history)
        for each in cards:
            restyle(each.frame)

    # --- asking ---------------------------------------------------------------------------------------------

    def _ask(self, what: str) -> None:
        if self._model is not None:
            self.asked.emit(what, self._model.key)

    def _button_asked(self) -> None:
        self._ask(self.sender().objectName().removeprefix("ask_"))

    def _history_asked(self) -> None:
        self._ask("history")

    def _menu_asked(self) -> None:
        action = self.sender()
        assert isinstance(action, QAction)
        self._ask(str(action.data()))


def _what(model: Detail) -> str:
    return f"{model.problem.title}." if model.problem is not None else f"{model.headline}."
