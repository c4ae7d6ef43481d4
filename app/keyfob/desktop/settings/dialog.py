"""The dialog Settings. A change takes effect at once. A wrong entry shows a message under its field and is
not saved.

It receives values and emits what the user wants. The app saves and answers with `show_settings` or `refuse`.
"""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from keyfob.core.settings import THEMES, Settings
from keyfob.core.words import VaultChoice
from keyfob.desktop.settings.about_card import AboutCard
from keyfob.desktop.settings.program_card import ProgramCard
from keyfob.desktop.settings.vault_choice import VaultPicker
from keyfob.desktop.shared.avatar import Avatar
from keyfob.desktop.shared.dialog import ModalDialog
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Choice, Elided, Scroller, Switch, button, card, label, restyle
from keyfob.desktop.window.models import Row, Window

THEME_WORDS = {"system": "System", "light": "Light", "dark": "Dark"}
PORTS = (1024, 65535)
MARGINS = (1, 1440)  # minutes
WIDEST = 880  # designed pixels of the content


class SettingsDialog(ModalDialog):
    """The settings. Each change is saved at once."""

    changed = Signal(object)  # Settings
    asked = Signal(str, str)  # disconnect | reconnect | remove, account key
    connect_asked = Signal()
    revoke_asked = Signal(object)  # a program's Permission
    import_asked = Signal()
    check_asked = Signal()  # for updates

    def __init__(
        self, theme: Theme, settings: Settings, *, tray: bool, parent: QWidget | None = None
    ) -> None:
        super().__init__("Settings", "Settings", parent)
        self._theme = theme
        self._settings = settings
        self._filling = False
        content = QWidget()
        content.setMaximumWidth(theme.px(WIDEST))
        content.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        column = QVBoxLayout(content)
        px = theme.px
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(px(12))
        column.addWidget(label("Settings", "dialogTitle"))
        self._build_accounts(column)
        self._build_window(column, tray=tray)
        self._build_tokens(column)
        self.programs = ProgramCard(self._theme)
        self.programs.switched.connect(self._switched)
        self.programs.revoked.connect(self.revoke_asked)
        column.addWidget(self.programs)
        self._build_updates(column)
        self.about = AboutCard(self._theme)
        column.addWidget(self.about)
        column.addStretch(1)
        body = QWidget()
        middle = QHBoxLayout(body)
        middle.setContentsMargins(px(26), px(24), px(26), px(16))
        middle.setSpacing(0)
        middle.addStretch(1)
        middle.addWidget(content, 1000)
        middle.addStretch(1)
        scroll = self._scroll = Scroller()
        scroll.hold(body)
        self.problem = label("", "problem", wrap=True)
        self.done_button = button("Done", "primary")
        self.done_button.setDefault(True)
        self.done_button.clicked.connect(self._finish)
        foot = QHBoxLayout()
        foot.setContentsMargins(px(26), px(10), px(26), px(22))
        foot.addWidget(self.problem, 1)
        foot.addWidget(self.done_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(scroll, 1)
        layout.addLayout(foot)
        self.resize(QSize(theme.px(600), theme.px(680)))
        self.setMinimumSize(QSize(theme.px(440), theme.px(360)))
        self.show_settings(settings)
        self.done_button.setFocus()

    # --- parts ----------------------------------------------------------------------------------------------

    def _build_accounts(self, column: QVBoxLayout) -> None:
        frame, inner = card(self._theme)
        head = QHBoxLayout()
        head.addWidget(label("Accounts", "heading"), 1)
        self.connect_button = button("Connect Account")
        self.connect_button.clicked.connect(self.connect_asked)
        head.addWidget(self.connect_button)
        inner.addLayout(head)
        self._accounts = QVBoxLayout()
        self._accounts.setSpacing(self._theme.px(6))
        inner.addLayout(self._accounts)
        self._no_accounts = label("No account is connected yet.", "small")
        inner.addWidget(self._no_accounts)
        self.import_button = button("Import keys from other tools…", "link")
        self.import_button.setProperty("flush", True)  # its text begins where the others do
        self.import_button.clicked.connect(self.import_asked)
        inner.addWidget(self.import_button, 0, Qt.AlignmentFlag.AlignLeft)
        self.playground_button = button("Open the demo's playground", "link")
        self.playground_button.setProperty("flush", True)
        self.playground_button.hide()
        inner.addWidget(self.playground_button, 0, Qt.AlignmentFlag.AlignLeft)
        self._rows: dict[str, AccountRow] = {}
        column.addWidget(frame)

    def _build_window(self, column: QVBoxLayout, *, tray: bool) -> None:
        frame, inner = card(self._theme)
        inner.addWidget(label("Window", "heading"))
        grid = _grid(self._theme, inner)
        self.login = Switch(self._theme, "Start at login")
        self.tray = Switch(self._theme, "Close to the tray")
        self.tray.setEnabled(tray)
        self.theme = Choice(self._theme, "Theme")
        for name in THEMES:
            self.theme.addItem(THEME_WORDS[name], name)
        note = (
            "When you close the window, Keyfob stays in the tray."
            if tray
            else "This desktop does not have a tray."
        )
        _row(grid, 0, "Start at login", "Keyfob is ready when your tools need it.", self.login)
        _row(grid, 1, "Close to the tray", note, self.tray)
        _row(grid, 2, "Theme", "", self.theme)
        self.login.toggled.connect(self._switched)
        self.tray.toggled.connect(self._switched)
        self.theme.currentIndexChanged.connect(self._switched)
        column.addWidget(frame)

    def _build_tokens(self, column: QVBoxLayout) -> None:
        frame, inner = card(self._theme)
        inner.addWidget(label("Signing in and renewing", "heading"))
        grid = _grid(self._theme, inner)
        self.port = self._number("Callback port")
        self.margin = self._number("Renewal margin")
        self.vault = VaultPicker(self._theme)
        self.vault.picked.connect(self._vault_picked)
        _row(
            grid,
            0,
            "Callback port",
            "The browser returns to this port after you sign in. Your registered apps must use the same "
            "port.",
            self.port,
        )
        self.port_problem = _problem(grid, 1)
        _row(
            grid,
            2,
            "Renewal margin",
            "How many minutes before the end a token is renewed. For short-lived tokens, a fifth of their "
            "lifetime.",
            self.margin,
        )
        self.margin_problem = _problem(grid, 3)
        _row(grid, 4, "Tokens are kept in", self.vault.note, self.vault)
        column.addWidget(frame)

    def _build_updates(self, column: QVBoxLayout) -> None:
        frame, inner = card(self._theme)
        inner.addWidget(label("Updates", "heading"))
        grid = _grid(self._theme, inner)
        self.updates = Switch(self._theme, "Check for updates")
        self.updates.toggled.connect(self._switched)
        _row(
            grid,
            0,
            "Check for updates",
            "Once a day, Keyfob asks for newer versions. It installs nothing until you say so.",
            self.updates,
        )
        self.check_button = button("Check now")
        self.check_button.clicked.connect(self.check_asked)
        inner.addWidget(self.check_button, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(frame)

    def _number(self, name: str) -> QLineEdit:
        field = QLineEdit()
        field.setAccessibleName(name)
        field.setFixedWidth(self._theme.px(96))
        field.setAlignment(Qt.AlignmentFlag.AlignRight)
        field.setMaxLength(6)
        field.setInputMethodHints(Qt.InputMethodHint.ImhDigitsOnly)
        field.textEdited.connect(self._judge)
        field.editingFinished.connect(self._take_numbers)
        return field

    # --- showing --------------------------------------------------------------------------------------------

    def show_settings(self, settings: Settings) -> None:
        """What holds now."""
        self._filling = True
        self._settings = settings
        self.login.setChecked(settings.start_at_login)
        self.tray.setChecked(settings.close_to_tray)
        self.theme.setCurrentIndex(THEMES.index(settings.theme))
        self.programs.switch.setChecked(settings.named_app_consent)
        self.updates.setChecked(settings.updates)
        self.vault.show_choice(settings.vault)
        self.port.setText(str(settings.callback_port))
        self.margin.setText(_minutes(settings.renewal_margin))
        self._filling = False
        self._judge()

    def show_port(self) -> None:
        """Bring the callback port into view, ready to be typed over."""
        self.show_control(self.port)
        self.port.selectAll()

    def show_programs(self) -> None:
        """Bring the connected programs into view."""
        self.show_control(self.programs.switch)
        self._scroll.ensureWidgetVisible(self.programs)

    def show_control(self, control: QWidget) -> None:
        """Bring one of the dialog's controls into view, with the focus."""
        self.raise_()
        self.activateWindow()
        control.setFocus()
        self._scroll.ensureWidgetVisible(control)

    def show_vault(self, name: str, in_use: VaultChoice) -> None:
        """Show what tokens are kept in now, and what that is called."""
        self.vault.show_use(name, in_use)

    def show_accounts(self, model: Window) -> None:
        """The accounts, each with its button."""
        rows = {row.key: row for row in model.rows}
        for key in [k for k in self._rows if k not in rows]:
            gone = self._rows.pop(key)
            gone.setParent(None)
            gone.deleteLater()
        for key, row in rows.items():
            if key not in self._rows:
                self._rows[key] = AccountRow(self._theme)
                self._rows[key].asked.connect(self.asked)
                self._accounts.addWidget(self._rows[key])
            self._rows[key].show_account(row)
        self._no_accounts.setVisible(not rows)
        self.vault.count_accounts(len(rows))

    def refuse(self, message: str, settings: Settings) -> None:
        """It could not be saved: say why, and show what holds."""
        self.problem.setText(message)
        self.show_settings(settings)

    # --- taking ---------------------------------------------------------------------------------------------

    def _switched(self) -> None:
        if not self._filling:
            self._emit(
                replace(
                    self._settings,
                    start_at_login=self.login.isChecked(),
                    close_to_tray=self.tray.isChecked(),
                    theme=THEMES[self.theme.currentIndex()],
                    named_app_consent=self.programs.switch.isChecked(),
                    updates=self.updates.isChecked(),
                )
            )

    def _vault_picked(self, vault: VaultChoice) -> None:
        self._emit(replace(self._settings, vault=vault))
        self.vault.show_choice(vault)

    def _judge(self) -> bool:
        """Whether both numbers are right; what is wrong is said under its field."""
        good = True
        for field, problem, (least, most) in (
            (self.port, self.port_problem, PORTS),
            (self.margin, self.margin_problem, MARGINS),
        ):
            value = _number(field.text()) if field is self.port else _seconds(field.text())
            low, high = (least, most) if field is self.port else (30, most * 60)
            fits = value is not None and low <= value <= high
            unit = "a port" if field is self.port else "a number of minutes"
            problem.setText("" if fits else f"It must be {unit} from {least} to {most}.")
            problem.setVisible(not fits)
            if field.property("wrong") != (not fits):
                field.setProperty("wrong", not fits)
                restyle(field)
            good = good and fits
        return good

    def _take_numbers(self) -> None:
        if self._filling or not self._judge():
            return
        port, margin = _number(self.port.text()), _seconds(self.margin.text())
        assert port is not None
        assert margin is not None
        self._emit(replace(self._settings, callback_port=port, renewal_margin=margin))

    def _finish(self) -> None:
        """Close, unless a number is wrong: it stays to be corrected."""
        if self._judge():
            self.accept()
        else:
            (self.port if self.port.property("wrong") else self.margin).setFocus()

    def _emit(self, settings: Settings) -> None:
        if settings != self._settings:
            self._settings = settings
            self.problem.setText("")
            self.changed.emit(settings)


class AccountRow(QWidget):
    """An account with the button that connects or disconnects it."""

    asked = Signal(str, str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._row: Row | None = None
        self._avatar = Avatar(theme, 30, "bg")
        self._title = Elided("", "strong")
        self._note = Elided("", "small")
        self._action = button("")
        self._action.clicked.connect(self._ask)
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(self._title)
        texts.addWidget(self._note)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, theme.px(4), 0, theme.px(4))
        layout.setSpacing(theme.px(12))
        layout.addWidget(self._avatar)
        layout.addLayout(texts, 1)
        layout.addWidget(self._action)

    def show_account(self, row: Row) -> None:
        """Show the account and the buttons that fit its status."""
        if row == self._row:
            return
        self._row = row
        off = row.accessible.endswith(", disconnected")
        needs = row.accessible.endswith(", needs_sign_in")
        self._avatar.show_face(row.face)
        self._title.show_text(row.title)
        self._note.show_text(f"{row.subtitle} · {row.side}")
        words = "Reconnect" if off or needs else "Disconnect"
        self._action.setText(words)
        self._action.setAccessibleName(f"{words} {row.id}")

    def _ask(self) -> None:
        if self._row is not None:
            self.asked.emit(self._action.text().lower(), self._row.key)


def _grid(theme: Theme, inner: QVBoxLayout) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(theme.px(16))
    grid.setVerticalSpacing(theme.px(10))
    grid.setColumnStretch(0, 1)
    inner.addLayout(grid)
    return grid


def _row(grid: QGridLayout, number: int, title: str, note: str | QLabel, control: QWidget) -> None:
    texts = QVBoxLayout()
    texts.setSpacing(0)
    caption = label(title, "strong", wrap=True)
    caption.setBuddy(control)
    texts.addWidget(caption)
    if note:
        texts.addWidget(label(note, "small", wrap=True) if isinstance(note, str) else note)
    grid.addLayout(texts, number, 0)
    grid.addWidget(control, number, 1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


def _problem(grid: QGridLayout, number: int) -> QLabel:
    problem = label("", "problem", wrap=True)
    problem.hide()
    grid.addWidget(problem, number, 0, 1, 2)
    return problem


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() else None


def _seconds(minutes: str) -> int | None:
    """Minutes as typed, in seconds; halves are fine."""
    try:
        value = float(minutes.strip().replace(",", "."))
    except ValueError:
        return None
    return round(value * 60) if 0 <= value < 1e6 else None


def _minutes(seconds: int) -> str:
    return str(seconds // 60) if seconds % 60 == 0 else f"{seconds / 60:.1f}"
