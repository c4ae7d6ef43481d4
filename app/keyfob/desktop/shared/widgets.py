"""Small widgets that every page uses: labels that elide, buttons, cards,
scrollers, switches. None knows an account or a service.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QFontMetrics, QKeyEvent, QPainter, QPalette, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QLabel,
    QLineEdit,
    QListWidget,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStyledItemDelegate,
    QVBoxLayout,
    QWidget,
)

from keyfob.core.text import plain
from keyfob.desktop.shared import icons
from keyfob.desktop.shared.accessible import NamedComboBox, scroll_area, teach
from keyfob.desktop.shared.outside_text import SENTENCE, lines, set_tooltip
from keyfob.desktop.shared.theme import Theme

# A text in a script from right to left begins at the left too, above its second line.
LEFT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignAbsolute
MOST_ROWS = 20  # of a combo box's list before it scrolls
RETURNS = (Qt.Key.Key_Return, Qt.Key.Key_Enter)  # the latter is the keypad's


class Label(QLabel):
    """Shows its text literally: bounded, and never as HTML. Names and errors come from outside."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAlignment(LEFT)
        self.setText(text)

    def setText(self, text: str) -> None:
        """Show the text with control characters taken out, as text from outside needs."""
        super().setText("\n".join(lines(text)))


def label(text: str = "", role: str = "", *, wrap: bool = False) -> Label:
    """A label; `role` is what the style sheet knows it by."""
    result = Label(text)
    if role:
        result.setProperty("role", role)
    if wrap:
        result.setWordWrap(True)
        policy = result.sizePolicy()
        policy.setHeightForWidth(True)
        policy.setHorizontalPolicy(QSizePolicy.Policy.Preferred)
        result.setSizePolicy(policy)
    return result


class Elided(Label):
    """One line that ends in … when it does not fit. Its tooltip then shows the whole line."""

    def __init__(
        self, text: str = "", role: str = "", mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight
    ) -> None:
        super().__init__()
        self._full, self._mode = text, mode
        if role:
            self.setProperty("role", role)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.show_text(text)

    def show_text(self, text: str) -> None:
        """Show the text, cut off with "…" if the room is too small. The accessible name is the whole text."""
        self._full = plain(text, SENTENCE)
        self.setAccessibleName(self._full)
        self._fit()
        self.updateGeometry()

    def full(self) -> str:
        """The whole text."""
        return self._full

    def sizeHint(self) -> QSize:
        """Room for the whole text."""
        self.ensurePolished()
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self._full) + 2, metrics.height())

    def minimumSizeHint(self) -> QSize:
        """Room for four letters: it may be cut that short."""
        return QSize(self.fontMetrics().averageCharWidth() * 4, self.fontMetrics().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Cut the text to the new width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        shown = QFontMetrics(self.font()).elidedText(self._full, self._mode, max(self.width(), 1))
        self.setText(shown)
        set_tooltip(self, self._full if shown != self._full else "")


def button(
    text: str, kind: str = "", *, name: str | None = None, parent: QWidget | None = None
) -> QPushButton:
    """`name`: what assistive technology reads, if it is not the text."""
    result = QPushButton(text, parent)
    if kind:
        result.setProperty("kind", kind)
    result.setAccessibleName(name or text)
    result.setCursor(Qt.CursorShape.ArrowCursor)
    result.setAutoDefault(True)  # Return presses the button that has the focus, in the window too
    return result


class IconButton(QPushButton):
    """A square button with a drawing and, for those who do not see it, a name and a tooltip."""

    def __init__(self, theme: Theme, drawing: str, name: str, kind: str = "", text: str = "") -> None:
        super().__init__(text)
        self._theme, self._drawing, self._kind = theme, drawing, kind
        self.setAccessibleName(name)
        if not text:
            set_tooltip(self, name)
            self.setProperty("square", True)
        if kind:
            self.setProperty("kind", kind)
        self.setAutoDefault(True)
        theme.changed.connect(self.redraw)
        self.redraw()

    def become(self, drawing: str) -> None:
        """Show another drawing."""
        self._drawing = drawing
        self.redraw()

    def redraw(self) -> None:
        """Draw the icon again, in the theme's colours of now."""
        p = self._theme.palette
        color = {"primary": p.accent_ink, "quiet": p.ink2, "link": p.accent}.get(self._kind, p.ink)
        if self._kind == "nav":
            color = p.accent if self.property("chosen") else p.ink2
        side, gap = self._theme.px(17), self._theme.px(4) if self.text() else 0
        self.setIconSize(QSize(side + gap, side))
        self.setIcon(icons.icon(self._drawing, color, side, p.disabled, gap))


class Picture(Label):
    """One of our drawings in a layout, in a palette colour."""

    def __init__(self, theme: Theme, drawing: str, color: str, size: int) -> None:
        super().__init__()
        self._theme, self._drawing, self._color, self._size = theme, drawing, color, size
        theme.changed.connect(self.redraw)
        self.redraw()

    def become(self, drawing: str, color: str) -> None:
        """Show another drawing, in another colour of the palette."""
        self._drawing, self._color = drawing, color
        self.redraw()

    def redraw(self) -> None:
        """Draw it again, in the theme's colours of now."""
        side = self._theme.px(self._size)
        color = getattr(self._theme.palette, self._color)
        self.setPixmap(icons.pixmap(self._drawing, color, side, self.devicePixelRatioF()))
        self.setFixedSize(side, side)


def card(theme: Theme) -> tuple[QFrame, QVBoxLayout]:
    """A framed box, and the layout to fill it."""
    frame = QFrame()
    frame.setProperty("card", True)
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(theme.margins(18, 16, 18, 16))
    layout.setSpacing(theme.px(8))
    return frame, layout


def rule() -> QFrame:
    """A thin line between two parts."""
    result = QFrame()
    result.setObjectName("rule")
    return result


def restyle(widget: QWidget) -> None:
    """Apply the style sheet again after a dynamic property changed."""
    widget.style().unpolish(widget)
    widget.style().polish(widget)


class Selector(QListWidget):
    """A list whose selected item is its current item too. Assistive technology selects without making
    current, and what shows the current item would be about another one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._settle = QTimer(self)  # Qt clears the selection first, then selects: look when it is done
        self._settle.setSingleShot(True)
        self._settle.timeout.connect(self._settled)
        self.itemSelectionChanged.connect(self._follow)

    def _follow(self) -> None:
        for item in self.selectedItems():
            if self.row(item) != self.currentRow():
                self.setCurrentItem(item)
                return
        self._settle.start(0)

    def _settled(self) -> None:
        current = self.currentItem()
        if current is not None and not current.isHidden() and not self.selectedItems():
            current.setSelected(True)


class Scroller(QScrollArea):
    """Scrolls its body up and down. The bar is in the body's right
    margin, so that nothing moves when it comes.
    """

    def __init__(self) -> None:
        teach("Scroller", scroll_area)
        super().__init__()
        self._margin = 0
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalScrollBar().rangeChanged.connect(self._ranged)

    def hold(self, body: QWidget) -> None:
        """Show `body`, which has a layout; the last one is deleted."""
        body.setObjectName("scrolled")
        layout = body.layout()
        self._margin = layout.contentsMargins().right() if layout is not None else 0
        self.setWidget(body)
        self._ranged()

    def _ranged(self) -> None:
        body = self.widget()
        layout = body.layout() if body is not None else None
        if layout is None:
            return
        bar = self.verticalScrollBar()
        margins = layout.contentsMargins()
        right = self._margin - (bar.sizeHint().width() if bar.maximum() > 0 else 0)
        if margins.right() != right:
            margins.setRight(max(right, 0))
            layout.setContentsMargins(margins)


class _Drawn(QCheckBox):
    """A check box that we draw: pressed anywhere in it, and by Return as by Space."""

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__()
        self._theme = theme
        self.setAccessibleName(name)

    def hitButton(self, _at: object) -> bool:
        """Anywhere in it."""
        return True

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return switches it, as Space does: it never presses a dialog's button instead."""
        if event.key() in RETURNS:
            self.click()
        else:
            super().keyPressEvent(event)


class Switch(_Drawn):
    """A check box drawn as a switch; for assistive technology still a check box."""

    def sizeHint(self) -> QSize:
        """Room for the track and its focus ring."""
        return QSize(self._theme.px(42), self._theme.px(26))

    def paintEvent(self, _event: object) -> None:
        """Draw the track, the knob and the focus ring."""
        px = self._theme.px
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        body = QRectF(px(3), px(3), px(36), px(20))
        if self.hasFocus():
            painter.setPen(QPen(self._theme.color("focus"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(body.adjusted(-2, -2, 2, 2), px(12), px(12))
        on = self.isChecked()
        usable = self.isEnabled()
        full, knob = ("accent", "accent_ink") if usable else ("quiet_tint", "disabled")
        painter.setPen(QPen(self._theme.color("line" if not usable else full if on else "ink3"), 1.4))
        painter.setBrush(self._theme.color(full if on else "field"))
        painter.drawRoundedRect(body, px(10), px(10))
        side = px(12)
        x = body.right() - side - px(4) if on else body.left() + px(4)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.color(knob if on or not usable else "ink3"))
        painter.drawEllipse(QRectF(x, body.center().y() - side / 2, side, side))
        painter.end()


class Check(_Drawn):
    """A square check box. `locked`: it is ticked and cannot be changed."""

    def __init__(self, theme: Theme, name: str, *, locked: bool = False) -> None:
        super().__init__(theme, name)
        self._locked = locked
        self.setEnabled(not locked)

    def sizeHint(self) -> QSize:
        """Room for the box and its focus ring."""
        return QSize(self._theme.px(24), self._theme.px(24))

    def paintEvent(self, _event: object) -> None:
        """Draw the box, the check or the lock, and the focus ring."""
        px, theme = self._theme.px, self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        body = QRectF(px(3), px(3), px(18), px(18))
        if self.hasFocus():
            painter.setPen(QPen(theme.color("focus"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(body.adjusted(-2, -2, 2, 2), px(6), px(6))
        on = self.isChecked() and not self._locked
        painter.setPen(QPen(theme.color("accent" if on else "edge"), 1.4))
        painter.setBrush(theme.color("accent" if on else "quiet_tint" if self._locked else "field"))
        painter.drawRoundedRect(body.adjusted(0.7, 0.7, -0.7, -0.7), px(4), px(4))
        if self._locked:
            side = px(12)
            at = round(body.center().x() - side / 2)
            painter.drawPixmap(
                at, at, icons.pixmap("lock", theme.palette.ink2, side, self.devicePixelRatioF())
            )
        elif on:
            ends = Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin
            painter.setPen(QPen(theme.color("accent_ink"), px(2), Qt.PenStyle.SolidLine, *ends))
            width = body.width()
            points = ((0.27, 0.52), (0.43, 0.68), (0.74, 0.34))
            painter.drawPolyline([body.topLeft() + QPointF(x * width, y * width) for x, y in points])
        painter.end()


class SearchField(QLineEdit):
    """A field with a magnifying glass, found by its name."""

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__()
        self._theme = theme
        self.setAccessibleName(name)
        self.setProperty("search", True)  # the style sheet leaves room for the drawing
        self._glass = Picture(theme, "search", "ink2", 16)
        self._glass.setParent(self)
        self._glass.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the drawing in the middle of the left edge."""
        super().resizeEvent(event)
        self._glass.move(self._theme.px(13), (self.height() - self._glass.height()) // 2)


class Choice(QComboBox):
    """A combo box with our own arrow, which assistive technology finds by its name."""

    def __init__(self, theme: Theme, name: str) -> None:
        teach("Choice", NamedComboBox)
        super().__init__()
        self._theme = theme
        self.setAccessibleName(name)
        self.setMaxVisibleItems(MOST_ROWS)
        # The delegate that Qt takes for combo boxes ignores the style sheet, and cuts the last rows.
        self.setItemDelegate(QStyledItemDelegate(self))

    def sizeHint(self) -> QSize:
        """Qt's own is a pixel short for some texts, and the style then shortens them."""
        return super().sizeHint() + QSize(2, 0)

    def minimumSizeHint(self) -> QSize:
        """As `sizeHint`."""
        return super().minimumSizeHint() + QSize(2, 0)

    def showPopup(self) -> None:
        """Open the list, with an edge in our colour, which style sheets do not reach."""
        frame = self.view().parentWidget()
        if isinstance(frame, QFrame):
            frame.setFrameStyle(QFrame.Shape.Box | QFrame.Shadow.Plain)
            palette = frame.palette()
            palette.setColor(QPalette.ColorRole.WindowText, self._theme.color("edge"))
            frame.setPalette(palette)
        super().showPopup()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return opens the list, as Space does."""
        if event.key() in RETURNS:
            self.showPopup()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: object) -> None:
        """Draw the combo box, with an arrow of ours."""
        super().paintEvent(event)  # type: ignore[arg-type]
        side = self._theme.px(16)
        p = self._theme.palette
        arrow = icons.pixmap(
            "chevron-down", p.ink2 if self.isEnabled() else p.disabled, side, self.devicePixelRatioF()
        )
        painter = QPainter(self)
        painter.drawPixmap(self.width() - side - self._theme.px(9), (self.height() - side) // 2, arrow)
        painter.end()
