"""One sign-in in progress: what it shows, how it is cancelled, and its listener.

`SignIn.run` blocks on a worker thread. What faces call here may be called from any thread and returns at
once. After a cancel the listener takes nothing any more, whatever the worker does. When the grant is being
saved, it is too late to cancel.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Unpack

from keyfob.core.account import AccountView
from keyfob.core.errors import KeyfobError, SignInEnded, Usage
from keyfob.core.grant import Grant
from keyfob.core.http import Outcome
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.core.words import Stage
from keyfob.ports import Listener, Spawn
from keyfob.protocol.context import FlowContext
from keyfob.service.accounts.views import Progress, ProgressChanges, SignInRequest
from keyfob.service.contexts import ClientSecrets

log = logging.getLogger(__name__)
OUTCOME_FETCHED_WITHIN = 2.0  # seconds that the browser gets to fetch its last page

# The browser's last page for ends that a user meets; for the others the page sends the user back to Keyfob.
PAGES = {
    "declined": (
        "Access was declined",
        "Keyfob changed nothing. When you are ready, start again in Keyfob and allow access.",
    ),
    "subject_mismatch": (
        "Another person signed in",
        "The account belongs to somebody else, so Keyfob did not change it. Go back to Keyfob to try again.",
    ),
    "keychain_locked": (
        "Your keychain is locked",
        "Go back to Keyfob, unlock the keychain, and start again.",
    ),
    "timed_out": ("That was too late", "Keyfob stopped waiting for this sign-in. Start again in Keyfob."),
    "cancelled": ("This sign-in was cancelled", "It is too late to finish it. Start again in Keyfob."),
}

Observer = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class UnsavedGrant:
    """A grant that a sign-in got and that is not an account's yet."""

    grant: Grant
    context: FlowContext
    secrets: ClientSecrets


class Attempt:
    """Made by `SignIn.begin`, run once by `SignIn.run`. Knows neither."""

    def __init__(self, attempt_id: str, request: SignInRequest, progress: Progress) -> None:
        self.id = attempt_id
        self.request = request
        self.cancelled = threading.Event()
        self._progress = progress
        self._lock = threading.RLock()
        self._observers: list[Observer] = []
        self._listener: Listener | None = None
        self._committing = False
        self._called_back = False
        self.received: UnsavedGrant | None = None
        # The client that this sign-in registered: its address and token.
        self.registered: tuple[str, Secret] | None = None

    # --- for faces ------------------------------------------------------------------------------------------

    @property
    def progress(self) -> Progress:
        """How it stands now. Thread-safe."""
        with self._lock:
            return self._progress

    def observe(self, observer: Observer) -> Callable[[], None]:
        """`observer` is called for each change, on the thread that makes
        it; returns a function that stops it.
        """
        with self._lock:
            self._observers.append(observer)

        def unsubscribe() -> None:
            with self._lock:
                if observer in self._observers:
                    self._observers.remove(observer)

        return unsubscribe

    def cancel(self) -> bool:
        """Ends it at any moment; never blocks. False if the account is
        being saved or it has ended already.
        """
        with self._lock:
            if self._committing or self._progress.ended:
                return False
            self.cancelled.set()
            listener = self._listener
        if listener is not None:
            listener.retire(page_of("cancelled"))
        self.advance(stage="cancelled", error=SignInEnded("The sign-in was cancelled"))
        return True

    def paste(self, text: str) -> None:
        """The address or code that the browser could not bring back. Raises Usage or PeerFault if it does not
        fit; the attempt keeps waiting.
        """
        listener = self._listener
        if listener is None or self.progress.stage not in ("waiting", "browser", "ready"):
            raise Usage("This sign-in is not waiting for an address or a code")
        listener.paste(text)

    # --- for the service ------------------------------------------------------------------------------------

    def advance(self, stage: Stage | None = None, **changes: Unpack[ProgressChanges]) -> None:
        """Change what observers see, and call them on this thread. Nothing changes once it has ended."""
        with self._lock:
            if self._progress.ended:
                return
            self._progress = replace(self._progress, stage=stage or self._progress.stage, **changes)
            progress, observers = self._progress, list(self._observers)
        for observer in observers:
            try:
                observer(progress)
            except Exception:
                log.exception("a sign-in's observer failed")

    def host(self, listener: Listener, spawn: Spawn) -> None:
        """Serve the listener from here on; it is bound already, so the browser may be opened after this."""
        with self._lock:
            self._listener = listener
            cancelled = self.cancelled.is_set()
        if cancelled:
            listener.retire(page_of("cancelled"))
        spawn(listener.serve, "callback listener")

    def called_back(self) -> None:
        """Note that the browser came back."""
        self._called_back = True

    def commit(self) -> None:
        """From here it is too late to cancel. Raises SignInEnded if it was cancelled before."""
        with self._lock:
            if self.cancelled.is_set():
                raise SignInEnded("The sign-in was cancelled")
            self._committing = True

    def succeed(self, view: AccountView) -> None:
        """It has ended well: let the browser show its last page."""
        self._conclude(page_of_success(view.name or view.label))

    def fail(self, error: KeyfobError) -> None:
        """It has ended with this error: show it, and let the browser show its last page."""
        cancelled = isinstance(error, SignInEnded) and error.code == "cancelled"
        if not cancelled:
            why = plain(error.detail, 400)
            log.info(
                "a sign-in at %s ended: %s (%s)", self.progress.provider, error.code, why or "no details"
            )
        self.advance(stage="cancelled" if cancelled else "failed", error=error)
        self._conclude(page_of(error.code))

    def _conclude(self, outcome: Outcome) -> None:
        listener = self._listener
        if listener is None:
            return
        if self._called_back:
            listener.conclude(outcome)
            # The process may end after this, and the page with it.
            listener.concluded(OUTCOME_FETCHED_WITHIN)
        listener.retire(outcome)


def page_of_success(name: str) -> Outcome:
    """The browser's last page after a sign-in as `name`."""
    return Outcome(True, f"Connected as {name}", "You can close this tab and go back to Keyfob.")


def page_of(code: str) -> Outcome:
    """The browser's last page after a sign-in that ended with this error."""
    # Fixed texts: nothing that a peer said is shown in the browser.
    title, text = PAGES.get(
        code, ("Sign-in failed", "Go back to Keyfob. It shows what happened and what to do.")
    )
    return Outcome(False, title, text)
