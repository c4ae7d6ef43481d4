"""The details of one account. Shows a `Detail` and emits what the user asks for. Holds no service."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QMenu,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from keyfob.desktop.shared.avatar import Avatar
from keyfob.desktop.shared.flow_layout import FlowLayout
from keyfob.desktop.shared.outside_text import set_tooltip
from keyfob.desktop.shared.status_widgets import Chip, Pill
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import (
    Elided,
    IconButton,
    Label,
    Picture,
    Scroller,
    button,
    card,
    label,
    restyle,
)
from keyfob.desktop.window.account_pictures import LifeBarView, Strip
from keyfob.desktop.window.models import Detail

SIDE_BY_SIDE = 560  # designed pixels of width from which the two small cards stand next to each other


class AccountPage(QWidget):
    """`asked(action, account key)`: renew, test, copy, disconnect, reconnect, remove, rename, copy_name,
    switch_method, add_another, copy_details. `menu` is the account's, for its row in the list too.
    """

    asked = Signal(str, str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("detail")
        self._theme = theme
        self._model: Detail | None = None
        self._build_head()
        self._build_token()
        self._build_grants()
        self._build_lately()
        self._build_problem()
        self._build_buttons()
        body = QWidget()
        inner = QVBoxLayout(body)
        inner.setContentsMargins(30, 24, 30, 12)
        inner.setSpacing(16)
        inner.addLayout(self._head)
        inner.addWidget(self._problem_card)
        inner.addWidget(self._token_card)
        self._pair = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._pair.setSpacing(14)
        self._pair.addWidget(self._grants_card, 1)
        self._pair.addWidget(self._lately_card, 1)
        inner.addLayout(self._pair)
        inner.addStretch(1)
        self._scroll = Scroller()
        self._scroll.hold(body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._scroll, 1)
        layout.addWidget(self._foot)
        theme.changed.connect(self._restyle)

    # --- parts ----------------------------------------------------------------------------------------------

    def _build_head(self) -> None:
        theme = self._theme
        self.avatar = Avatar(theme.px(66), theme.color("bg"))
        self.title = Elided("", "title")
        self.subtitle = Elided("", "secondary")
        self.pill = Pill(theme)
        self.more = IconButton(theme, "more", "More", "quiet")
        self.menu = QMenu(self.more)
        self.menu.setToolTipsVisible(True)
        self.rename_action = self._action("Rename…", "rename", "F2")
        self._action("Copy name for tools", "copy_name")
        self.copy_action = self._action("Copy token", "copy")
        self.menu.addSeparator()
        self.sign_in_action = self._action("Sign in again…", "reconnect")
        self._action("Change sign-in method…", "switch_method")
        self.another_action = self._action("Add another…", "add_another")
        self.menu.addSeparator()
        self.disconnect_action = self._action("Disconnect…", "disconnect")
        self.remove_action = self._action("Remove…", "remove")
        self.more.setMenu(self.menu)
        names = QVBoxLayout()
        names.setSpacing(3)
        names.addStretch(1)
        names.addWidget(self.title)
        names.addWidget(self.subtitle)
        names.addStretch(1)
        self._head = QHBoxLayout()
        self._head.setSpacing(18)
        self._head.addWidget(self.avatar)
        self._head.addLayout(names, 1)
        self._head.addWidget(self.pill)
        self._head.addWidget(self.more)

    def _action(self, text: str, asked: str, keys: str | None = None) -> QAction:
        action = QAction(text, self.menu)
        action.setData(asked)
        if keys:
            action.setShortcut(QKeySequence(keys))
            self.addAction(action)
        action.triggered.connect(self._menu_asked)
        self.menu.addAction(action)
        return action

    def _build_token(self) -> None:
        self._token_card, layout = card()
        self.token_heading = label("Access token", "heading")
        self.headline = label("", "lead", wrap=True)
        self.note = label("", "small", wrap=True)
        self.life = LifeBarView(self._theme)
        layout.setSpacing(7)
        for widget in (self.token_heading, self.headline, self.note, self.life):
            layout.addWidget(widget)

    def _build_grants(self) -> None:
        self._grants_card, layout = card()
        layout.addWidget(label("Permissions", "heading"))
        self._chip_box = QWidget()
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self._chip_box.setSizePolicy(policy)
        self._chips = FlowLayout(self._chip_box, 6)
        self.narrower = label("", "warn", wrap=True)
        self._no_scopes = label("Everything that the account may do", "small", wrap=True)
        self._facts = QGridLayout()
        self._facts.setHorizontalSpacing(14)
        self._facts.setVerticalSpacing(5)
        self._facts.setColumnStretch(1, 1)
        layout.addWidget(self._chip_box)
        layout.addWidget(self._no_scopes)
        layout.addWidget(self.narrower)
        layout.addSpacing(4)
        layout.addLayout(self._facts)
        layout.addStretch(1)
        self._fact_labels: list[tuple[Label, Elided]] = []

    def _build_lately(self) -> None:
        self._lately_card, layout = card()
        layout.addWidget(label("Recent activity", "heading"))
        self.strip = Strip(self._theme)
        layout.addWidget(self.strip)
        self._lately = QGridLayout()
        self._lately.setHorizontalSpacing(12)
        self._lately.setVerticalSpacing(7)
        self._lately.setColumnStretch(1, 1)
        layout.addLayout(self._lately)
        self._nothing = label("There is no activity yet.", "small")
        layout.addWidget(self._nothing)
        layout.addStretch(1)
        self._line_labels: list[tuple[Label, Elided]] = []

    def _build_problem(self) -> None:
        self._problem_card = QFrame()
        self._problem_card.setProperty("note", "warn")
        row = QHBoxLayout(self._problem_card)
        row.setContentsMargins(16, 12, 12, 12)
        row.setSpacing(12)
        self._sign = Picture(self._theme, "warning", "warn", 20)
        self.problem = label("", "strong", wrap=True)
        self.remedy = label("", "small", wrap=True)
        texts = QVBoxLayout()
        texts.setSpacing(3)
        texts.addWidget(self.problem)
        texts.addWidget(self.remedy)
        self.copy_details = button("Copy details", "quiet")
        self.copy_details.clicked.connect(self._copy_details)
        row.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(texts, 1)
        row.addWidget(self.copy_details, 0, Qt.AlignmentFlag.AlignVCenter)

    def _build_buttons(self) -> None:
        self._foot = QWidget()
        self._foot.setObjectName("detail")
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self._foot.setSizePolicy(policy)
        outer = QVBoxLayout(self._foot)
        outer.setContentsMargins(30, 10, 30, 22)
        flow = FlowLayout(gap=9)
        outer.addLayout(flow)
        self.reconnect = button("Reconnect", "primary")
        self.renew = button("Renew now")
        self.test = button("Test connection")
        self.copy = button("Copy token")
        self.remove = button("Remove", "quiet")
        self.disconnect_button = button("Disconnect", "danger")
        self.remove.setProperty("push", True)
        for widget, asked in (
            (self.reconnect, "reconnect"),
            (self.renew, "renew"),
            (self.test, "test"),
            (self.copy, "copy"),
            (self.remove, "remove"),
            (self.disconnect_button, "disconnect"),
        ):
            widget.setObjectName(f"ask_{asked}")
            widget.clicked.connect(self._button_asked)
            flow.addWidget(widget)

    # --- showing --------------------------------------------------------------------------------------------

    def show_model(self, model: Detail) -> None:
        """Show this account. Cheap where little has changed."""
        if model == self._model:
            return
        before, self._model = self._model, model
        self.avatar.show_face(model.face, self._theme.color("bg"))
        self.title.show_text(model.title)
        self.subtitle.show_text(model.subtitle)
        self.pill.show_status(model.status, model.tone, model.shape)
        self.token_heading.setText(model.token_heading)
        self.headline.setText(model.headline)
        self.note.setText(model.note)
        self.note.setVisible(bool(model.note))
        self.life.show_life(model.life)
        if before is None or (before.scopes, before.missing_scopes) != (model.scopes, model.missing_scopes):
            self._fill_chips(model)
        _fill(self._facts, self._fact_labels, model.facts, right=True)
        self._fill_lately(model)
        self._problem_card.setVisible(model.problem is not None)
        if model.problem is not None:
            self.problem.setText(model.problem.title)
            self.remedy.setText(f"{model.problem.remedy} ({model.problem.when})".strip())
        self._show_buttons(model)

    def _show_buttons(self, model: Detail) -> None:
        self.renew.setEnabled(model.can_renew)
        self.renew.setText("Renewing …" if model.busy and model.status == "Renewing" else "Renew now")
        self.test.setEnabled(model.can_test)
        self.copy.setEnabled(model.can_copy)
        set_tooltip(self.copy, model.copy_reason or "Keyfob clears it from the clipboard after 30 seconds")
        set_tooltip(self.renew, "F5")
        live = model.connected
        for widget in (self.renew, self.test, self.copy):
            widget.setVisible(live)
        self.reconnect.setVisible(not live)
        self.reconnect.setEnabled(not model.busy)
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

    def _fill_chips(self, model: Detail) -> None:
        while (item := self._chips.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        for scope in model.scopes:
            self._chips.addWidget(Chip(self._theme, scope))
        for scope in model.missing_scopes:
            self._chips.addWidget(Chip(self._theme, scope, missing=True))
        some = bool(model.scopes or model.missing_scopes)
        self._chip_box.setVisible(some)
        self._no_scopes.setVisible(not some)
        self.narrower.setText(f"Requested but not granted: {', '.join(model.missing_scopes)}")
        self.narrower.setVisible(bool(model.missing_scopes))
        self._chip_box.updateGeometry()

    def _fill_lately(self, model: Detail) -> None:
        _fill(self._lately, self._line_labels, tuple((i.when, i.text) for i in model.lately), right=False)
        for (_, text), line in zip(self._line_labels, model.lately, strict=False):
            set_tooltip(text, line.tooltip)
        self._nothing.setVisible(not model.lately)
        self.strip.setVisible(bool(model.points))
        self.strip.show_points(model.points)

    def resizeEvent(self, event: object) -> None:
        """Put the two columns side by side if there is room."""
        super().resizeEvent(event)  # type: ignore[arg-type]
        wide = self.width() >= self._theme.px(SIDE_BY_SIDE)
        direction = QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom
        if self._pair.direction() != direction:
            self._pair.setDirection(direction)

    def _restyle(self) -> None:
        model, self._model = self._model, None
        if model is not None:
            self.show_model(model)
        for widget in (self._problem_card, self._token_card, self._grants_card, self._lately_card):
            restyle(widget)

    # --- asking ---------------------------------------------------------------------------------------------

    def _ask(self, what: str) -> None:
        if self._model is not None:
            self.asked.emit(what, self._model.key)

    def _button_asked(self) -> None:
        self._ask(self.sender().objectName().removeprefix("ask_"))

    def _menu_asked(self) -> None:
        action = self.sender()
        assert isinstance(action, QAction)
        self._ask(str(action.data()))

    def _copy_details(self) -> None:
        self._ask("copy_details")


def _fill(
    grid: QGridLayout, labels: list[tuple[Label, Elided]], pairs: tuple[tuple[str, str], ...], *, right: bool
) -> None:
    """Two columns of text; labels are reused."""
    while len(labels) < len(pairs):
        mode = Qt.TextElideMode.ElideMiddle if right else Qt.TextElideMode.ElideRight
        first, second = (
            label("", "small" if right else "hint"),
            Elided("", "small" if right else "line", mode),
        )
        if right:
            second.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        grid.addWidget(first, len(labels), 0)
        grid.addWidget(second, len(labels), 1)
        labels.append((first, second))
    for number, (first, second) in enumerate(labels):
        shown = number < len(pairs)
        first.setVisible(shown)
        second.setVisible(shown)
        if shown:
            first.setText(pairs[number][0])
            second.show_text(pairs[number][1])
