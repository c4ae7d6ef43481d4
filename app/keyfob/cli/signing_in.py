"""Runs one sign-in in the terminal: shows its progress, accepts a pasted address, cancels it on Ctrl-C.

The attempt runs on a thread. Cancelling frees the callback port before the command ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from collections.abc import Callable

from keyfob.cli import terminal_code
from keyfob.cli.session import Session
from keyfob.cli.words import moment, who
from keyfob.core.account import AccountView
from keyfob.core.errors import KeyfobError, SignInEnded, Usage
from keyfob.core.methods import METHOD_FACTS, Method
from keyfob.core.provider import Provider
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.service.accounts.views import Progress, SignInRequest

POLL = 0.2  # seconds between looks whether the sign-in has ended, while waiting for stdin
MOST_PASTE = 16 * 1024  # characters


def sign_in(session: Session, request: SignInRequest) -> AccountView:
    """Sign in, blocking. Raises a KeyfobError; SignInEnded `cancelled` after Ctrl-C."""
    attempt = session.engine.sign_in.begin(request)
    ended = threading.Event()
    teller = _Teller(session, request, lambda: _read_pastes(session, attempt.paste, ended))
    forget = attempt.observe(teller.tell)
    session.note(f"Signing in at {plain(attempt.progress.provider_title, 60)} …")

    def stop() -> None:
        if not attempt.cancel() and not attempt.progress.ended:
            session.note("Too late to cancel: the account is being saved …")

    try:
        return session.finish(lambda: attempt.run(_spawn), stop=stop)
    except KeyboardInterrupt:
        attempt.cancel()
        raise SignInEnded("The sign-in was cancelled") from None
    finally:
        ended.set()
        forget()


def tell_result(session: Session, view: AccountView, *, again: bool) -> None:
    """The account, once connected."""
    if session.json:
        session.document(view.to_json())
        return
    verb = "Signed in again" if again else "Connected"
    session.say(f"{verb} as {who(view)}: {view.id}")
    if view.narrower_scopes:
        session.note(f"Requested but not granted: {', '.join(plain(s, 60) for s in view.narrower_scopes)}")
    if view.renewable and view.renews_at is not None:
        session.note(
            f"Keyfob renews the token automatically. Next renewal: {moment(view.renews_at, session.now())}."
        )


def secrets_for(
    session: Session, provider: Provider, method: Method | None, *, key_stdin: bool, password_stdin: bool
) -> tuple[Secret | None, Secret | None]:
    """The API key and the password, as far as the method needs one: from stdin if requested, else asked for on a
    terminal. Raises Usage if neither is possible."""
    chosen = method or ("api_key" if key_stdin else "password" if password_stdin else provider.methods[0])
    asked = METHOD_FACTS[chosen].asks_for
    if key_stdin and asked != "api_key":
        raise Usage("--api-key-stdin works only with the method api_key")
    if password_stdin and asked != "password":
        raise Usage("--password-stdin works only with the method password")
    if asked is None or chosen not in provider.methods:
        return None, None
    option = "--api-key-stdin" if asked == "api_key" else "--password-stdin"
    if not (key_stdin or password_stdin or sys.stdin.isatty()):
        what = "an API key" if asked == "api_key" else "a password"
        raise Usage(f"{provider.title} needs {what}", remedy=f"Pipe it in and add {option}.")
    if asked == "api_key":
        if provider.api_key is not None and provider.api_key.create_at and sys.stdin.isatty():
            session.note(f"Create a key at {provider.api_key.create_at}")
        return session.secret_from_stdin(option, "API key"), None
    return None, session.secret_from_stdin(option, "Password")


def _spawn(work: Callable[[], None], name: str) -> None:
    threading.Thread(target=work, name=name, daemon=True).start()


class _Teller:
    """Says each step once. Called on the attempt's thread."""

    def __init__(self, session: Session, request: SignInRequest, offer_paste: Callable[[], None]) -> None:
        self._session = session
        self._request = request
        self._offer_paste = offer_paste
        self._said: set[str] = set()

    def tell(self, progress: Progress) -> None:
        note = self._session.note
        if progress.redirect_uri and self._first("ready"):
            note(f"Ready at {progress.redirect_uri}")
        if progress.user_code and self._first("code"):
            self._code(progress)
        elif progress.url is not None and not progress.user_code:
            self._address(progress, progress.url)
        if progress.stage == "checking" and self._first("checking"):
            note("Checking who signed in …")
        if progress.stage == "saving" and self._first("saving"):
            note("Saving to the keychain …")

    def _address(self, progress: Progress, url: Secret) -> None:
        note = self._session.note
        if progress.browser_opened and self._first("opened"):
            note("Your browser is open. Sign in there, then come back.")
        by_hand = not self._request.open_browser or progress.browser_opened is False
        if by_hand and self._first("address"):
            if progress.browser_opened is False:
                note("Keyfob could not open a browser.")
            note("Open this address in a browser:")
            note("")
            note(f"  {url.reveal()}")
            note("")
        if by_hand and progress.stage == "waiting" and self._first("paste"):
            note("If that browser is on another machine, paste the address of its last page here.")
            self._offer_paste()

    def _code(self, progress: Progress) -> None:
        note = self._session.note
        note(f"Open  {plain(progress.verification_uri, 200)}")
        note(f"Enter {plain(progress.user_code, 40)}")
        complete = progress.verification_uri_complete
        if complete and sys.stderr.isatty():
            for line in terminal_code.lines(complete):
                note(line)
        if progress.deadline is not None:
            note(f"The code is valid until {moment(progress.deadline, self._session.now())}.")

    def _first(self, what: str) -> bool:
        if what in self._said:
            return False
        self._said.add(what)
        return True


def _read_pastes(session: Session, paste: Callable[[str], None], ended: threading.Event) -> None:
    """Take lines from stdin on a thread until the sign-in ends. A line that does not fit is reported, and waiting goes
    on: the browser may still come back."""
    if not session.stdin_is_free:
        return
    try:
        descriptor = sys.stdin.fileno()
    except (OSError, ValueError, AttributeError):
        return
    if sys.stdin.isatty() and not _in_foreground(descriptor):
        return  # reading the terminal from the background would stop the whole process

    def take(line: str) -> None:
        if line.strip():
            try:
                paste(line.strip())
            except KeyfobError as error:
                if not ended.is_set():
                    what = error.message.rstrip(".")
                    session.note(
                        f"{what[:1].upper()}{what[1:]}. Paste the full address of the browser's last page."
                    )

    def read() -> None:
        # os.read and not sys.stdin: a thread that waits in a buffered read would hold up the interpreter's end.
        kept = b""
        while not ended.is_set():
            if os.name != "nt" and not select.select([descriptor], [], [], POLL)[0]:
                continue
            chunk = os.read(descriptor, 4096)
            kept += chunk
            while b"\n" in kept:
                line, _, kept = kept.partition(b"\n")
                take(line.decode("utf-8", "replace"))
            if not chunk:
                take(kept.decode("utf-8", "replace"))
                return
            if len(kept) > MOST_PASTE:
                session.note("This is too long for an address.")
                kept = b""

    def quietly() -> None:
        with contextlib.suppress(OSError, ValueError):
            read()

    _spawn(quietly, "paste")


def _in_foreground(descriptor: int) -> bool:
    if os.name == "nt":
        return True
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False
