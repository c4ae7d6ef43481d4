"""The questions before an account is disconnected, removed, renamed or signed in to again.

Each question says what will be lost and what stays. Keeps no account.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from keyfob.core.account import AccountView
from keyfob.desktop.shared.confirm import Ask, Confirm
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.names import name_of
from keyfob.desktop.window.presenter import Presenter


class SignInAgain(Protocol):
    """What signs in to an account again: the connect dialog."""

    def sign_in_again(self, account: AccountView) -> None:
        """Sign in by the account's method."""

    def ask_for_more(self, account: AccountView) -> None:
        """Choose what else its tools may do."""

    def switch_method(self, account: AccountView) -> None:
        """Sign in by another method, which the user chooses."""


class AccountActions(QObject):
    """Does what an account's buttons say, and asks first if something would be lost."""

    def __init__(self, theme: Theme, window: QWidget) -> None:
        super().__init__(window)
        self._theme, self._window = theme, window

    def ask(
        self, action: str, key: str, presenter: Presenter, sign_in: SignInAgain, above: QWidget | None
    ) -> None:
        """`above`: the dialog that was pressed in, if it was not the window."""
        view = presenter.view(key)
        if view is None:
            return
        match action:
            case "disconnect":
                self._confirm(disconnecting(view), "Disconnect", lambda: presenter.act(action, key), above)
            case "remove":
                self._confirm(removing(view), "Remove", lambda: presenter.act(action, key), above)
            case "rename":
                dialog = Ask(
                    self._theme,
                    f"Rename {name_of(view)}",
                    f"Tools use the name {view.id} for this account. If you change it, update your tools.",
                    view.label,
                    "Rename",
                    self._window,
                )
                dialog.answered.connect(
                    lambda label: presenter.commands.rename(key, label, dialog.accept, dialog.complain)
                )
                dialog.open()
            case "reconnect":
                sign_in.sign_in_again(view)
            case "more_access":
                sign_in.ask_for_more(view)
            case "switch_method":
                sign_in.switch_method(view)
            case _:
                presenter.act(action, key)

    def _confirm(
        self, words: tuple[str, str], action: str, do: Callable[[], None], above: QWidget | None
    ) -> None:
        dialog = Confirm(self._theme, *words, action, above or self._window)
        dialog.confirmed.connect(do)
        dialog.open()


def disconnecting(view: AccountView) -> tuple[str, str]:
    """The question and what it means."""
    title = f"Disconnect {name_of(view)}?"
    if view.holds_key:
        return title, (
            "Keyfob deletes the key. Tools cannot use it until you enter a key again. "
            f"{view.provider_title} still accepts it until you delete it there. The account stays in the "
            "list."
        )
    return title, (
        f"Keyfob deletes its tokens and asks {view.provider_title} to revoke them. Tools get no token "
        "until you reconnect. The account stays in the list."
    )


def removing(view: AccountView) -> tuple[str, str]:
    """The question and what is lost."""
    lost = "its key" if view.holds_key else "its tokens"
    then = (
        f"{view.provider_title} still accepts the key until you delete it there."
        if view.holds_key
        else f"Keyfob asks {view.provider_title} to revoke the sign-in and deletes nothing else there."
    )
    return f"Remove {name_of(view)}?", (
        f"Keyfob deletes {lost}, its name for tools ({view.id}) and its history. You cannot undo this. {then}"
    )
