"""Runs one sign-in in the terminal: shows its progress, accepts a pasted address, cancels it on Ctrl-C.

The attempt runs on a thread. Cancelling frees the callback port before the command ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator

from keyfob.cli import terminal_code
from keyfob.cli.agent_sign_in import AgentAttempt, begin_at_agent
from keyfob.cli.options import SignInOptions, inputs_of
from keyfob.cli.session import Session
from keyfob.cli.views import kept_fresh
from keyfob.cli.words import moment, who
from keyfob.core.account import Account, AccountView
from keyfob.core.errors import KeyfobError, SignInEnded, Usage
from keyfob.core.key_parts import joined, parts_of
from keyfob.core.methods import METHOD_FACTS, Method
from keyfob.core.provider import Provider
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.service.accounts.views import Progress, SignInRequest
from keyfob.service.sign_in.attempt import Attempt
from keyfob.service.sign_in.sign_in import HandOverTo

POLL = 0.2  # seconds between looks whether the sign-in has ended, while waiting for stdin
MOST_PASTE = 16 * 1024  # characters


def sign_in(session: Session, request: SignInRequest, hand_over: HandOverTo | None = None) -> AccountView:
    """Sign in, blocking. `hand_over` keeps the account elsewhere. Raises a KeyfobError; SignInEnded
    `cancelled` after Ctrl-C.
    """
    attempt, run = _begin(session, request, hand_over)
    ended = threading.Event()
    printer = _ProgressPrinter(
        session,
        request,
        lambda: _read_pastes(session, attempt.paste, ended),
        saves_here=hand_over is None,
    )
    forget = attempt.observe(printer.print_step)
    session.note(f"Signing in at {plain(attempt.progress.provider_title, 60)} …")

    def stop() -> None:
        if not attempt.cancel() and not attempt.progress.ended:
            session.note("Too late to cancel: the account is being saved …")

    try:
        return session.finish(run, stop=stop)
    except KeyboardInterrupt:
        attempt.cancel()
        raise SignInEnded("The sign-in was cancelled") from None
    finally:
        ended.set()
        forget()


def _begin(
    session: Session, request: SignInRequest, hand_over: HandOverTo | None
) -> tuple[Attempt | AgentAttempt, Callable[[], AccountView]]:
    """The attempt, and what carries it out: here, or at the agent that has the encrypted file."""
    at_agent = begin_at_agent(session, request) if hand_over is None else None
    if at_agent is not None:
        return at_agent, at_agent.run
    attempt = session.engine.sign_in.begin(request)
    return attempt, lambda: session.engine.sign_in.run(attempt, _spawn, hand_over)


def print_result(session: Session, view: AccountView, *, again: bool) -> None:
    """The account, once connected."""
    if session.json:
        session.document(view.to_json())
        return
    verb = "Signed in again" if again else "Connected"
    session.say(f"{verb} as {who(view)}: {view.id}")
    if view.narrower_scopes:
        session.note(f"Requested but not granted: {', '.join(plain(s, 60) for s in view.narrower_scopes)}")
    if view.renewable and not kept_fresh(session):
        session.note("Keyfob renews the token when a tool asks for it. To keep it fresh, run: keyfob agent")
    elif view.renewable and view.renews_at is not None:
        session.note(
            f"Keyfob renews the token automatically. Next renewal: {moment(view.renews_at, session.now())}."
        )


def request_for(
    session: Session,
    provider: Provider,
    options: SignInOptions,
    *,
    label: str | None = None,
    account: Account | None = None,
) -> SignInRequest:
    """The sign-in that the options ask for: of a new account, or again to `account`. Reads the secrets.
    Raises Usage, click.BadParameter.
    """
    if options.only_scopes and (options.access or options.scopes):
        raise Usage("--only-scope cannot be combined with --access or --scope")
    client_id = options.client_id
    if options.client_secret_stdin and not client_id:
        client_id = _known_client(session, provider, options, account)
    secret = (
        session.secret_from_stdin("--client-secret-stdin", "Client secret")
        if options.client_secret_stdin
        else None
    )
    implied: Method | None = (
        "api_key" if options.api_key_stdin else "password" if options.password_stdin else None
    )
    method = options.method or (account.method if account else implied) or provider.methods[0]
    api_key, password = _secrets_for(session, provider, options, method)
    return SignInRequest(
        provider=provider.id,
        method=options.method or (None if account else implied),
        account=account.key if account else None,
        label=label,
        access=options.access or None,
        scopes=options.scopes,
        only_scopes=options.only_scopes,
        inputs=inputs_of(options.inputs, options.handle, options.username),
        api_key=api_key,
        password=password,
        client_id=client_id,
        client_secret=secret,
        allow_http=options.allow_http,
        timeout=options.timeout,
        open_browser=not options.no_browser,
        switch_method=account is not None and options.method is not None,
    )


def _known_client(
    session: Session, provider: Provider, options: SignInOptions, account: Account | None
) -> str:
    """The client id that the secret belongs to: the account's, a saved one, or the preset's. Raises Usage."""
    if account is not None and account.pin.client_id:
        return account.pin.client_id
    clients = session.engine.clients
    inputs = inputs_of(options.inputs, options.handle, options.username)
    asked = SignInRequest(provider.id, options.method, inputs=inputs)
    known = clients.known(provider, clients.inputs(provider, asked, None))
    if known is None or known.source == "publisher":
        raise Usage(
            f"--client-secret-stdin needs --client-id: Keyfob has no client id for {provider.title}",
            remedy="Add --client-id with the client id of your app registration.",
        )
    return known.client_id


def _secrets_for(
    session: Session, provider: Provider, options: SignInOptions, method: Method
) -> tuple[Secret | None, Secret | None]:
    """The API key and the password, as far as the method needs one: from stdin if requested, else asked for
    on a terminal. Raises Usage if neither is possible.
    """
    asked = METHOD_FACTS[method].asks_for
    if options.api_key_stdin and asked != "api_key":
        raise Usage("--api-key-stdin works only with the method api_key")
    if options.password_stdin and asked != "password":
        raise Usage("--password-stdin works only with the method password")
    if asked is None or method not in provider.methods:
        return None, None
    option = "--api-key-stdin" if asked == "api_key" else "--password-stdin"
    if not (options.api_key_stdin or options.password_stdin or sys.stdin.isatty()):
        what = "an API key" if asked == "api_key" else "a password"
        raise Usage(f"{provider.title} needs {what}", remedy=f"Pipe it in and add {option}.")
    if asked == "api_key":
        if provider.api_key is not None and provider.api_key.create_at and sys.stdin.isatty():
            session.note(f"Create a key at {provider.api_key.create_at}")
        return _key_from_stdin(session, provider, option), None
    return None, session.secret_from_stdin(option, "Password")


def _key_from_stdin(session: Session, provider: Provider, option: str) -> Secret:
    """The key; both parts of one that has two, on a line each or with a space between them."""
    key = session.secret_from_stdin(option, "API key")
    second = provider.api_key.api.second if provider.api_key else None
    if second is None or len(parts_of(key)) > 1:
        return key
    return joined(key, session.next_secret(option, plain(second.title, 60)))


def _spawn(work: Callable[[], None], name: str) -> None:
    threading.Thread(target=work, name=name, daemon=True).start()


class _ProgressPrinter:
    """Prints each step once. Called on the attempt's thread."""

    def __init__(
        self, session: Session, request: SignInRequest, offer_paste: Callable[[], None], *, saves_here: bool
    ) -> None:
        self._session = session
        self._saves_here = saves_here
        self._request = request
        self._offer_paste = offer_paste
        self._said: set[str] = set()

    def print_step(self, progress: Progress) -> None:
        note = self._session.note
        if progress.redirect_uri and self._first("ready"):
            note(f"Waiting for the browser at {progress.redirect_uri}")
        if progress.user_code and self._first("code"):
            self._code(progress)
        elif progress.url is not None and not progress.user_code:
            self._address(progress, progress.url)
        if progress.stage == "checking" and self._first("checking"):
            note("Checking who signed in …")
        if progress.stage == "saving" and self._first("saving"):
            note("Saving to the keychain …" if self._saves_here else "Handing the account over …")

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
    """Take lines from stdin on a thread until the sign-in ends."""
    if not session.stdin_is_free:
        return
    try:
        descriptor = sys.stdin.fileno()
    except (OSError, ValueError, AttributeError):
        return
    if sys.stdin.isatty() and not _in_foreground(descriptor):
        return  # reading the terminal from the background would stop the whole process

    def read() -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in _lines(session, descriptor, ended):
                _take(session, paste, ended, line)

    _spawn(read, "paste")


def _lines(session: Session, descriptor: int, ended: threading.Event) -> Iterator[bytes]:
    """What is typed, line by line, until the sign-in or the input ends."""
    # os.read and not sys.stdin: a thread that waits in a buffered read would hold up the interpreter's end.
    kept = b""
    while not ended.is_set():
        if os.name != "nt" and not select.select([descriptor], [], [], POLL)[0]:
            continue
        chunk = os.read(descriptor, 4096)
        *lines, kept = (kept + chunk).split(b"\n")
        yield from lines
        if not chunk:
            yield kept
            return
        if len(kept) > MOST_PASTE:
            session.note("This is too long for an address.")
            kept = b""


def _take(session: Session, paste: Callable[[str], None], ended: threading.Event, line: bytes) -> None:
    """A line that does not fit is reported, and waiting goes on: the browser may still come back."""
    text = line.decode("utf-8", "replace").strip()
    if text:
        try:
            paste(text)
        except KeyfobError as error:
            if not ended.is_set():
                what = error.message.rstrip(".")
                session.note(
                    f"{what[:1].upper()}{what[1:]}. Paste the full address of the browser's last page."
                )


def _in_foreground(descriptor: int) -> bool:
    if os.name == "nt":
        return True
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False
