"""The stylesheet as text, from a palette and a scale. Pure; only `theme.py` calls it.

Widgets opt in by a dynamic property: `kind` on buttons (primary, quiet, danger, link), `role` on labels
(title, heading, strong, secondary, hint, problem), `card` and `tone` on frames.
"""

from __future__ import annotations

from collections.abc import Callable

from keyfob.desktop.shared.palette import LIGHT, Palette


def stylesheet(p: Palette, px: Callable[[float], int], mono: str) -> str:
    """Qt style sheet text. `px` scales designed pixels; `mono` is the font family for code."""
    return f"""
* {{ outline: none; }}
QMainWindow, QDialog {{ background: {p.bg}; }}
QDialog {{ background: {p.panel}; }}
QLabel {{ background: transparent; color: {p.ink}; }}
QBalloonTip QLabel {{ color: {LIGHT.ink}; }}  /* Qt draws it on light yellow in every theme */
QBalloonTip QPushButton, QBalloonTip QPushButton:hover {{ background: transparent; border: none; padding: 0; }}
QLabel[role="title"] {{ font-size: {px(22)}px; font-weight: 700; }}
QLabel[role="dialogTitle"] {{ font-size: {px(19)}px; font-weight: 700; }}
QLabel[role="heading"] {{ font-size: {px(12.5)}px; font-weight: 600; color: {p.ink2}; }}
QLabel[role="lead"] {{ font-size: {px(16)}px; font-weight: 600; }}
QLabel[role="strong"] {{ font-weight: 600; }}
QLabel[role="summary"] {{ font-size: {px(15)}px; font-weight: 700; }}
QLabel[role="part"] {{ font-size: {px(15)}px; font-weight: 600; }}
QLabel[role="step"] {{ font-weight: 500; }}
QLabel[role="secondary"] {{ color: {p.ink2}; }}
QLabel[role="small"] {{ font-size: {px(12.5)}px; color: {p.ink2}; }}
QLabel[role="line"] {{ font-size: {px(13)}px; }}
QLabel[role="quietLine"] {{ font-size: {px(13)}px; color: {p.ink2}; }}
QLabel[role="name"] {{ font-size: {px(13.5)}px; font-weight: 500; }}
QLabel[role="hint"] {{ font-size: {px(12.5)}px; color: {p.ink3}; }}
QLabel[role="problem"] {{ font-size: {px(12.5)}px; color: {p.bad}; }}
QLabel[role="warn"] {{ font-size: {px(12.5)}px; color: {p.warn}; }}
QLabel[role="fine"] {{ font-size: {px(12.5)}px; color: {p.ok}; }}
QLabel[role="code"] {{ font-size: {px(34)}px; font-weight: 700; font-family: "{mono}"; }}
QLabel[role="scope"] {{ font-size: {px(11.5)}px; font-family: "{mono}"; color: {p.ink2}; }}
QLabel[role="mono"] {{ font-size: {px(12.5)}px; font-family: "{mono}";
  background: {p.bg}; border: 1px solid {p.line}; border-radius: {px(7)}px; padding: {px(7)}px {px(10)}px; }}
QLabel[role="monoLine"] {{ font-size: {px(12.5)}px; font-family: "{mono}"; }}

QFrame#side {{ background: {p.side}; border: none; border-right: 1px solid {p.line}; }}
QWidget#detail, QScrollArea, QWidget#scrolled {{ background: {p.bg}; border: none; }}
QDialog QScrollArea, QDialog QWidget#scrolled {{ background: {p.panel}; }}
QFrame#dialogBody, QDialog QFrame#dialogBody QScrollArea, QDialog QFrame#dialogBody QWidget#scrolled {{ background: {p.bg}; border: none; }}
QFrame[code="true"] {{ background: {p.bg}; border: 1px solid {p.line}; border-radius: {px(8)}px; }}
QFrame[dim="true"] QLabel {{ color: {p.ink3}; }}
QFrame[card="true"] {{ background: {p.panel}; border: 1px solid {p.line}; border-radius: {px(10)}px; }}
QDialog QFrame[card="true"] {{ background: {p.bg}; }}
QDialog QFrame#dialogBody QFrame[card="true"] {{ background: {p.panel}; }}
QFrame[tone="warn"] {{ background: {p.warn_tint}; border: none; border-bottom: 1px solid {p.warn_line}; }}
QFrame[tone="bad"] {{ background: {p.bad_tint}; border: none; border-bottom: 1px solid {p.bad_line}; }}
QFrame[tone="info"] {{ background: {p.info_tint}; border: none; border-bottom: 1px solid {p.info_line}; }}
QFrame[note="warn"] {{ background: {p.warn_tint}; border: 1px solid {p.warn_line}; border-radius: {px(9)}px; }}
QFrame[note="bad"] {{ background: {p.bad_tint}; border: 1px solid {p.bad_line}; border-radius: {px(9)}px; }}
QFrame[note="info"] {{ background: {p.info_tint}; border: 1px solid {p.info_line}; border-radius: {px(9)}px; }}
QSplitter::handle {{ background: transparent; }}
QFrame[hop="grown"] {{ background: {p.bad_tint}; border: 1px solid {p.bad_line}; border-radius: {px(9)}px; margin: {px(3)}px 0; }}
QFrame#rule {{ background: {p.line}; border: none; max-height: 1px; min-height: 1px; }}

QPushButton {{ background: {p.panel}; color: {p.ink}; border: 1px solid {p.edge}; border-radius: {px(7)}px;
  padding: {px(7)}px {px(14)}px; font-size: {px(13)}px; font-weight: 600; min-height: {px(18)}px; }}
QPushButton:hover {{ background: {p.hover}; }}
QPushButton:pressed {{ background: {p.quiet_tint}; }}
QPushButton:focus {{ border: 2px solid {p.focus}; padding: {px(7) - 1}px {px(14) - 1}px; }}
QPushButton:disabled {{ color: {p.disabled}; border-color: {p.line}; background: transparent; }}
QPushButton[kind="primary"] {{ background: {p.accent}; color: {p.accent_ink}; border: 1px solid {p.accent}; }}
QPushButton[kind="primary"]:hover {{ background: {p.accent_hover}; border-color: {p.accent_hover}; }}
QPushButton[kind="primary"]:pressed {{ background: {p.accent_down}; }}
QPushButton[kind="primary"]:focus {{ border: 2px solid {p.ink}; }}
QPushButton[kind="primary"]:disabled {{ background: {p.quiet_tint}; color: {p.disabled}; border-color: {p.quiet_tint}; }}
QPushButton[kind="quiet"] {{ background: transparent; border: 1px solid transparent; color: {p.ink2}; }}
QPushButton[kind="quiet"]:hover {{ background: {p.hover}; color: {p.ink}; }}
QPushButton[kind="quiet"]:focus {{ border: 2px solid {p.focus}; }}
QPushButton[kind="nav"] {{ background: transparent; border: 1px solid transparent; text-align: left; font-size: {px(13.5)}px;
  font-weight: 500; padding: {px(8)}px {px(36)}px {px(8)}px {px(9)}px; }}
QPushButton[kind="nav"]:hover {{ background: {p.hover}; }}
QPushButton[kind="nav"][chosen="true"] {{ background: {p.selection}; border-color: {p.selection_line}; }}
QPushButton[kind="nav"]:focus {{ border: 2px solid {p.focus}; padding: {px(8) - 1}px {px(36) - 1}px {px(8) - 1}px {px(9) - 1}px; }}
QPushButton[kind="danger"] {{ color: {p.bad}; }}
QPushButton[kind="dangerFull"] {{ background: {p.bad}; color: {p.panel}; border-color: {p.bad}; }}
QPushButton[kind="dangerFull"]:focus {{ border: 2px solid {p.ink}; }}
QPushButton[kind="link"] {{ background: transparent; border: 1px solid transparent; color: {p.accent};
  padding: {px(3)}px {px(5)}px; }}
QPushButton[kind="link"]:hover {{ text-decoration: underline; }}
QPushButton[kind="link"]:focus {{ border: 2px solid {p.focus}; padding: {px(3) - 1}px {px(5) - 1}px; }}
QPushButton[square="true"] {{ padding: {px(7)}px {px(8)}px; }}
QPushButton[square="true"]:focus {{ padding: {px(7) - 1}px {px(8) - 1}px; }}
QPushButton[flush="true"], QPushButton[flush="true"]:focus {{ padding-left: 0; padding-right: 0; }}
QPushButton[flush="true"]:focus {{ border: none; border-bottom: 2px solid {p.focus}; border-radius: 0;
  background: {p.selection}; padding: {px(3) + 1}px 1px {px(3) - 1}px 1px; }}
QPushButton::menu-indicator {{ image: none; width: 0; }}

QLineEdit, QDateEdit, QComboBox {{ background: {p.field}; color: {p.ink}; border: 1px solid {p.edge};
  border-radius: {px(8)}px; padding: {px(7)}px {px(11)}px; min-height: {px(20)}px;
  selection-background-color: {p.accent}; selection-color: {p.accent_ink}; }}
QLineEdit:focus, QDateEdit:focus, QComboBox:focus {{ border: 2px solid {p.focus}; padding: {px(7) - 1}px {px(11) - 1}px; }}
QDateEdit QLineEdit, QDateEdit QLineEdit:focus {{ background: transparent; border: none; padding: 0; min-height: 0; }}
QDateEdit::up-button, QDateEdit::down-button {{ width: 0; border: none; }}
QLineEdit[wrong="true"] {{ border-color: {p.bad}; }}
QLineEdit:disabled, QComboBox:disabled {{ color: {p.disabled}; background: transparent; border-color: {p.line}; }}
QLineEdit[search="true"] {{ padding-left: {px(36)}px; }}
QLineEdit[search="true"]:focus {{ padding-left: {px(36) - 1}px; }}
QLineEdit[mono="true"] {{ font-size: {px(12.5)}px; font-family: "{mono}"; }}
QPlainTextEdit[mono="true"] {{ font-size: {px(12.5)}px; font-family: "{mono}"; color: {p.ink}; background: {p.field}; border: 1px solid {p.edge}; border-radius: {px(8)}px; padding: {px(6)}px; }}
QPlainTextEdit[mono="true"]:focus {{ border: 2px solid {p.focus}; padding: {px(6) - 1}px; }}
QTextBrowser[notes="true"] {{ color: {p.ink}; background: {p.bg}; border: 1px solid {p.line}; border-radius: {px(8)}px; font-size: {px(13)}px; }}
QTextBrowser[notes="true"]:focus {{ border: 2px solid {p.focus}; }}
QRadioButton {{ font-weight: 600; spacing: {px(10)}px; border: 2px solid transparent; border-radius: {px(6)}px; padding: 1px {px(3)}px 1px 0px; }}
QRadioButton[light="true"] {{ font-weight: 400; }}
QRadioButton:focus {{ border-color: {p.focus}; }}
QRadioButton::indicator {{ width: {px(16)}px; height: {px(16)}px; border: 1px solid {p.edge}; border-radius: {px(16) // 2 + 1}px; background: {p.field}; }}
QRadioButton::indicator:checked {{ width: {px(16) + 2 - 2 * px(5)}px; height: {px(16) + 2 - 2 * px(5)}px; border: {px(5)}px solid {p.accent}; border-radius: {px(16) // 2 + 1}px; background: {p.accent_ink}; }}
QComboBox {{ combobox-popup: 0; padding-right: {px(30)}px; font-size: {px(13)}px; font-weight: 600; }}
QComboBox::drop-down {{ border: none; width: {px(28)}px; }}
QComboBox::down-arrow {{ image: none; }}
QComboBox QAbstractItemView {{ background: {p.panel}; color: {p.ink}; border: none; padding: {px(4)}px;
  selection-background-color: {p.selection}; selection-color: {p.ink}; outline: none; }}
QComboBox QAbstractItemView::item {{ min-height: {px(20)}px; padding: {px(5)}px {px(8)}px; border-radius: {px(6)}px; }}
QComboBox QAbstractItemView::item:selected {{ background: {p.selection}; color: {p.ink}; }}
QListView {{ background: transparent; border: none; }}
QListView[plain="true"] {{ background: {p.field}; border: 1px solid {p.edge}; border-radius: {px(8)}px; padding: {px(4)}px; }}
QListView[plain="true"]:focus {{ border: 2px solid {p.focus}; padding: {px(4) - 1}px; }}
QListView[plain="true"]::item {{ color: {p.ink}; padding: {px(6)}px {px(8)}px; border-radius: {px(6)}px; }}
QListView[plain="true"]::item:selected {{ background: {p.selection}; color: {p.ink}; }}
QTableView {{ background: {p.panel}; color: {p.ink}; border: 1px solid {p.line}; border-radius: {px(8)}px;
  font-size: {px(13)}px; selection-background-color: {p.selection}; selection-color: {p.ink}; }}
QTableView:focus {{ border: 2px solid {p.focus}; }}
QTableView::item {{ padding: {px(2)}px {px(8)}px; border: none; }}

QMenu {{ background: {p.panel}; color: {p.ink}; border: 1px solid {p.line}; padding: {px(6)}px; }}
QMenu::item {{ padding: {px(7)}px {px(22)}px {px(7)}px {px(10)}px; border-radius: {px(6)}px; background: transparent; }}
QMenu::item:selected {{ background: {p.selection}; }}
QMenu::item:disabled {{ color: {p.ink2}; }}
QMenu::icon {{ padding-left: {px(8)}px; }}
QMenu::separator {{ height: 1px; background: {p.line}; margin: {px(5)}px {px(4)}px; }}
QToolTip {{ background: {p.panel}; color: {p.ink}; border: 1px solid {p.line}; padding: {px(5)}px {px(8)}px; }}

QScrollBar:vertical {{ background: transparent; width: {px(10)}px; margin: {px(2)}px; }}
QScrollBar::handle:vertical {{ background: {p.handle}; border-radius: {px(3)}px; min-height: {px(28)}px; }}
QScrollBar::handle:vertical:hover {{ background: {p.ink3}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; width: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QScrollBar:horizontal {{ height: 0; }}
"""
