"""A sign-in in progress: its steps, the link to copy, the field for pasting, a device code."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QPainter, QPen, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QSizePolicy, QVBoxLayout, QWidget

from keyfob.desktop.connect.models import Step, Waiting
from keyfob.desktop.connect.qr import Matrix, qr_matrix
from keyfob.desktop.shared import icons
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.flow_layout import FlowLayout
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import IconButton, Scroller, button, label, restyle

WIDEST = 560  # designed pixels of the content
QUIET = 4  # modules of light around a QR code, as the standard wants


class QrCode(QWidget):
    """Dark on light in both themes: cameras expect it."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._matrix: Matrix | None = None
        self.setAccessibleName("QR code of the page’s address")

    def show_address(self, text: str | None) -> None:
        """Draw this address; None hides the code."""
        self._matrix = qr_matrix(text) if text else None
        self.setVisible(self._matrix is not None)
        side = self._theme.px(164)
        self.setFixedSize(QSize(side, side))
        self.update()

    def paintEvent(self, _event: object) -> None:
        """Draw dark modules on a light ground, also in the dark theme: scanners need that."""
        if self._matrix is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.color("code_ground"))
        painter.drawRoundedRect(QRectF(self.rect()), self._theme.px(8), self._theme.px(8))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        count = len(self._matrix) + 2 * QUIET
        # Whole device pixels a module, so that no edge is blurred.
        ratio = self.devicePixelRatioF()
        module = max(int(self.width() * ratio) // count, 1) / ratio
        left = (self.width() - module * len(self._matrix)) / 2
        painter.setBrush(self._theme.color("code_ink"))
        for y, row in enumerate(self._matrix):
            for x, dark in enumerate(row):
                if dark:
                    painter.drawRect(QRectF(left + x * module, left + y * module, module, module))
        painter.end()


class StepMark(QWidget):
    """done, now, later or failed as a mark: a check, an open ring, an empty ring, a cross."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self._state = theme, "later"
        side = theme.px(22)
        self.setFixedSize(QSize(side, side))

    def show_state(self, state: str) -> None:
        """Draw another state: done, now, later or failed."""
        if state != self._state:
            self._state = state
            self.update()

    def paintEvent(self, _event: object) -> None:
        """Draw a tick, a ring, a dot or a cross."""
        theme = self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(1.5, 1.5, -1.5, -1.5)
        if self._state in ("done", "failed"):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("ok" if self._state == "done" else "warn"))
            painter.drawEllipse(QRectF(self.rect()))
            side = theme.px(14)
            sign = icons.pixmap(
                "check" if self._state == "done" else "cross",
                theme.palette.panel,
                side,
                self.devicePixelRatioF(),
            )
            painter.drawPixmap((self.width() - side) // 2, (self.height() - side) // 2, sign)
        elif self._state == "now":
            painter.setPen(QPen(theme.color("accent"), 2.4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            painter.drawArc(box, 40 * 16, 280 * 16)
        else:
            painter.setPen(QPen(theme.color("edge"), 2))
            painter.drawEllipse(box)
        painter.end()


class StepRow(QWidget):
    """One line of the list of what is done and what comes next."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._mark = StepMark(theme)
        self._text = label("", wrap=True)
        self._note = label("", "small")
        texts = QVBoxLayout()
        texts.setSpacing(theme.px(1))
        texts.addWidget(self._text)
        texts.addWidget(self._note)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, theme.px(7), 0, theme.px(7))
        row.setSpacing(theme.px(13))
        row.addWidget(self._mark, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addLayout(texts, 1)

    def show_step(self, step: Step) -> None:
        """Show the step's mark and words."""
        self._mark.show_state(step.state)
        self._text.setText(step.text)
        role = {"now": "strong", "later": "secondary"}.get(step.state, "")
        if self._text.property("role") != role:
            self._text.setProperty("role", role)
            restyle(self._text)
        self._note.setText(step.note)
        self._note.setVisible(bool(step.note))
        words = {"done": "done", "now": "under way", "later": "to come", "failed": "did not work"}
        self.setAccessibleName(f"{step.text}: {words[step.state]}")


class WaitingPage(QWidget):
    """The page while the user signs in elsewhere: steps, link, code and a place to paste the address."""

    cancelled = Signal()
    link_copied = Signal()
    code_copied = Signal()
    opened = Signal(str)
    pasted = Signal(str)
    second = Signal()  # once a second while it is on screen and a time runs

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._page: str | None = None
        self._qr_text: str | None = None
        self._left = ""
        px = theme.px
        self.title = label("", "title", wrap=True)
        self.text = label("", "secondary", wrap=True)
        self._steps: list[StepRow] = []
        self._now = ""  # the step under way
        self._steps_box = QWidget()
        self._steps_column = QVBoxLayout(self._steps_box)
        self._steps_column.setContentsMargins(0, 0, 0, 0)
        self._steps_column.setSpacing(0)
        self._build_code()
        self._build_paste()
        self.nothing = button("Browser did not open?", "link")
        self.nothing.setProperty("flush", True)  # the words begin where everything does
        self.nothing.clicked.connect(self._toggle_paste)
        unfold = QHBoxLayout()
        unfold.addWidget(self.nothing)
        unfold.addStretch(1)
        self.note = label("", "hint", wrap=True)
        column = QWidget()
        column.setMaximumWidth(px(WIDEST))
        inner = QVBoxLayout(column)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(px(4))
        # In the order of reading, which is assistive technology's too.
        inner.addWidget(self.title)
        inner.addWidget(self.text)
        inner.addSpacing(px(12))
        inner.addWidget(self._code_box)
        inner.addWidget(self._steps_box)
        inner.addSpacing(px(4))
        inner.addLayout(unfold)
        inner.addWidget(self._paste_box)
        inner.addWidget(self.note)
        inner.addStretch(1)
        body = QWidget()
        left = QHBoxLayout(body)
        left.setContentsMargins(px(28), px(24), px(28), px(8))
        left.addWidget(column, 1000)
        left.addStretch(1)
        scroll = Scroller()
        scroll.hold(body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(scroll, 1)
        layout.addLayout(self._foot())
        self._timer = QTimer(self)
        self._timer.setInterval(1000)
        self._timer.timeout.connect(self.second)

    def _foot(self) -> QHBoxLayout:
        px = self._theme.px
        self.copy_link = button("Copy link")
        self.copy_link.clicked.connect(self.link_copied)
        self.cancel = button("Cancel")
        self.cancel.clicked.connect(self.cancelled)
        foot = QHBoxLayout()
        foot.setContentsMargins(px(28), px(12), px(28), px(22))
        foot.setSpacing(px(9))
        foot.addStretch(1)
        foot.addWidget(self.copy_link)
        foot.addWidget(self.cancel)
        return foot

    def _build_code(self) -> None:
        px = self._theme.px
        self._code_box = QWidget()
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self._code_box.setSizePolicy(policy)
        flow = FlowLayout(self._code_box, px(22))  # with large text the drawing goes below the code
        self.code = label("", "code")
        self.code.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.qr = QrCode(self._theme)
        self.copy_code = IconButton(self._theme, "copy", "Copy code", "", "Copy code")
        self.open_page = IconButton(self._theme, "link", "Open page", "primary", "Open page")
        self.copy_code.clicked.connect(self.code_copied)
        self.open_page.clicked.connect(self._open)
        buttons = QHBoxLayout()
        buttons.setSpacing(px(9))
        buttons.addWidget(self.open_page)
        buttons.addWidget(self.copy_code)
        buttons.addStretch(1)
        holder = QWidget()
        left = QVBoxLayout(holder)
        left.setContentsMargins(0, 0, 0, 0)
        left.setSpacing(px(14))
        left.addWidget(self.code)
        left.addLayout(buttons)
        left.addStretch(1)
        flow.addWidget(holder)
        flow.addWidget(self.qr)

    def _build_paste(self) -> None:
        px = self._theme.px
        self._paste_box = QFrame()
        self._paste_box.setProperty("note", "info")
        inner = QVBoxLayout(self._paste_box)
        inner.setContentsMargins(px(16), px(12), px(16), px(14))
        inner.setSpacing(px(6))
        inner.addWidget(
            label(
                "Copy the link and open it in any browser. If the browser is on another computer:",
                "secondary",
                wrap=True,
            )
        )
        self._paste_words = label("", "strong", wrap=True)
        inner.addWidget(self._paste_words)
        row = QHBoxLayout()
        row.setSpacing(px(8))
        self.paste_field = QLineEdit()
        self.paste_field.setAccessibleName("Pasted address or code")
        self.paste_field.returnPressed.connect(self._paste)
        self.paste_button = button("Use it", name="Use what was pasted")
        self.paste_button.clicked.connect(self._paste)
        row.addWidget(self.paste_field, 1)
        row.addWidget(self.paste_button)
        inner.addLayout(row)
        self._paste_words.setBuddy(self.paste_field)
        self._paste_box.hide()

    def begin(self) -> None:
        """A new attempt: nothing of the last one stays."""
        self._paste_box.hide()
        self.paste_field.clear()
        self._now = ""
        self.say("", True)

    def show_model(self, model: Waiting) -> None:
        """Show how the sign-in stands."""
        self.title.setText(model.title)
        self.text.setText(model.text)
        self.cancel.setAccessibleDescription(f"{model.title}. {model.text}")  # it has the focus
        while len(self._steps) < len(model.steps):
            row = StepRow(self._theme)
            self._steps.append(row)
            self._steps_column.addWidget(row)
        for row, step in zip(self._steps, model.steps, strict=False):
            row.show_step(step)
        for number, row in enumerate(self._steps):
            row.setVisible(number < len(model.steps))
        self._say_step(next((step.text for step in model.steps if step.state == "now"), ""))
        self.copy_link.setVisible(model.code is None)
        self.copy_link.setEnabled(model.can_copy_link)
        self.nothing.setVisible(model.paste is not None)
        if model.paste is None:
            self._paste_box.hide()
        else:
            self._paste_words.setText(model.paste)
        self._code_box.setVisible(model.code is not None)
        if model.code is not None:
            self.code.setText(model.code)
            self.code.setAccessibleName(f"Code {model.code}")
            self._page = model.code_page
            self.open_page.setVisible(model.code_page is not None)
            if model.code_qr != self._qr_text:
                self._qr_text = model.code_qr
                self.qr.show_address(model.code_qr)
        self._left = model.left
        self._run()

    def _say_step(self, now: str) -> None:
        if now and now != self._now:
            announce(self, now)
        self._now = now

    def say(self, text: str, good: bool) -> None:
        """Show a sentence below the field; `good` colours it."""
        self.note.setText(text)
        self.note.setVisible(bool(text))
        self.note.setProperty("role", "hint" if good else "problem")
        restyle(self.note)
        announce(self, text, urgent=not good)

    def _run(self) -> None:
        if self._left and self.isVisible():
            if not self._timer.isActive():
                self._timer.start()
        else:
            self._timer.stop()

    def showEvent(self, event: QShowEvent) -> None:
        """Start the seconds."""
        super().showEvent(event)
        self._run()

    def hideEvent(self, event: QHideEvent) -> None:
        """Stop the seconds: nobody sees them."""
        super().hideEvent(event)
        self._timer.stop()

    def _toggle_paste(self) -> None:
        self._paste_box.setVisible(not self._paste_box.isVisible())
        if self._paste_box.isVisible():
            self.paste_field.setFocus()

    def _paste(self) -> None:
        text = self.paste_field.text().strip()
        if text:
            self.pasted.emit(text)  # the field keeps it until it is taken

    def _open(self) -> None:
        if self._page:
            self.opened.emit(self._page)
