"""The loopback callback listener (RFC 8252 §7.3): implements `ports.Listeners` and `ports.Listener`.

It holds the port before the browser opens, accepts exactly one callback with the right state, keeps its code
out of the browser's history, and shows the real result on the browser's last page. Created by the engine,
used by the sign-in service. The query of a callback is never logged or shown.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from keyfob.adapters.loopback.pages import CLOSED, CallbackPages
from keyfob.adapters.loopback.ports import take_port
from keyfob.adapters.loopback.server import LoopbackServer, Reply
from keyfob.core.errors import SignInEnded, Usage
from keyfob.core.http import Callback, Outcome
from keyfob.core.provider import RedirectProfile
from keyfob.ports import Clock, Entropy
from keyfob.protocol.effects import Expectation
from keyfob.protocol.oauth.callback import Refused, Visit, Why, judge, read_paste, read_request, same_state

_CANCEL_POLL = 0.1  # seconds; an Event cannot wake a Condition
_OUTCOME_PATH_BYTES = 18


class Loopback:
    """Makes listeners. `pages` is the folder with `outcome.html`. Thread-safe."""

    def __init__(self, clock: Clock, entropy: Entropy, pages: Path) -> None:
        self._clock = clock
        self._entropy = entropy
        self._pages = CallbackPages(pages)

    def bind(self, profile: RedirectProfile, *, setting_port: int) -> CallbackListener:
        """A listener that already holds its port. The caller ends it: `stop` of `serve`, or `close`.

        `setting_port` 0 means any free port. A profile with its own `uri` takes no port: its answer can
        only be pasted. Raises SettingWrong `port_taken` (naming who holds it) or `preset_faulty`.
        """
        return CallbackListener(profile, setting_port, self._clock, self._entropy, self._pages)


class CallbackListener:
    """One attempt's listener. `serve` runs on a separate thread; every other method on any thread."""

    def __init__(
        self,
        profile: RedirectProfile,
        setting_port: int,
        clock: Clock,
        entropy: Entropy,
        pages: CallbackPages,
    ) -> None:
        self._clock = clock
        self._pages = pages
        self._paste_form = profile.paste
        self._outcome_path = f"/finished/{entropy(_OUTCOME_PATH_BYTES)}"
        self._own_path = profile.path or "/"
        self._changed = threading.Condition()  # guards everything below
        self._expectation: Expectation | None = None
        self._spent = False
        self._callback: Callback | None = None
        self._outcome: Outcome | None = None
        self._browser_waits = False
        sockets = [] if profile.uri else take_port(profile, setting_port)
        if profile.uri:
            self._redirect_uri, self._hosts = profile.uri, frozenset[str]()
        else:
            port = int(sockets[0].getsockname()[1])
            host = "[::1]" if profile.host.strip("[]") == "::1" else profile.host
            self._redirect_uri = f"http://{host}:{port}{profile.path}"
            self._hosts = frozenset({f"{host}:{port}"} | ({host} if port == 80 else set()))
        self._server = LoopbackServer(sockets, self)

    @property
    def redirect_uri(self) -> str:
        """As the provider receives it, with the port that is really used."""
        return self._redirect_uri

    def serve(self, stop: threading.Event) -> None:
        """Blocks, answering requests, until `stop` is set or `close` is called; the port is then free."""
        try:
            self._server.serve(stop)
        finally:
            with self._changed:
                self._changed.notify_all()

    def close(self) -> None:
        """Free the port within a second, whether or not `serve` was ever called. Idempotent."""
        self._server.close()
        with self._changed:
            self._changed.notify_all()

    def expect(self, expectation: Expectation) -> None:
        """From here an answer with this state is taken, once. Before, every callback is refused."""
        with self._changed:
            self._expectation = expectation
            self._spent = False
            self._callback = None

    def wait(self, *, deadline: timedelta, cancel: threading.Event) -> Callback:
        """The callback, given out once. Raises SignInEnded `timed_out` or
        `cancelled`; later ones are refused.
        """
        end = time.monotonic() + deadline.total_seconds()
        with self._changed:
            while True:
                if cancel.is_set():
                    self._expectation = None
                    raise SignInEnded("The sign-in was cancelled", code="cancelled")
                if self._callback is not None:
                    callback, self._callback = self._callback, None
                    return callback
                if self._server.closed:
                    self._expectation = None
                    raise SignInEnded("Keyfob stopped waiting for the browser", code="cancelled")
                left = end - time.monotonic()
                if left <= 0:
                    self._expectation = None
                    raise SignInEnded("The sign-in was not finished in time", code="timed_out")
                self._changed.wait(min(left, _CANCEL_POLL))

    def paste(self, text: str) -> None:
        """Take a pasted address or code instead of the browser's visit. Raises PeerFault, Usage; then the
        attempt keeps waiting.
        """
        with self._changed:
            if self._expectation is None:
                raise Usage("no sign-in is waiting for an address")
            if self._spent:
                raise Usage("this sign-in has already been answered")
            accepted = read_paste(
                text,
                form=self._paste_form,
                redirect_uri=self._redirect_uri,
                expectation=self._expectation,
            )
            self._take(accepted.params, state_checked=accepted.state_checked)

    def conclude(self, outcome: Outcome) -> None:
        """Show this on the page that the browser is waiting for."""
        with self._changed:
            self._outcome = outcome
        self._server.wake()

    def concluded(self, timeout: float) -> bool:
        """Whether no one waits for the last page any more: it was fetched, the browser left, or the
        answer was pasted. Waits at most `timeout` seconds for that.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._browser_waits or self._server.closed, timeout)

    def _take(self, params: Mapping[str, str], *, state_checked: bool = True) -> None:
        self._spent = True
        self._callback = Callback(params, self._clock(), state_checked)
        self._changed.notify_all()

    # What the server asks, on the serving thread.

    def receive(self, data: bytes) -> Reply | None:
        """The answer to what has come so far, None while more must come. Thread-safe."""
        request = read_request(data, self._hosts)
        match request:
            case None:
                return None
            case Refused(why):
                return Reply(self._pages.refusal(request.status, why))
            case Visit(path, _):
                with self._changed:
                    if hmac.compare_digest(path.encode(), self._outcome_path.encode()):
                        return self._outcome_reply()
                    return self._answer(request)

    def _outcome_reply(self) -> Reply:
        self._browser_waits = True
        if self._outcome is None:
            return Reply(None)
        return Reply(self._pages.outcome(self._outcome), tells_outcome=True)

    def _answer(self, visit: Visit) -> Reply:
        expectation = self._expectation
        if expectation is None:
            why = Why.NOT_EXPECTED if visit.path == self._own_path else Why.NOT_FOUND
            return self._refuse(Refused(why))
        verdict = judge(visit, expectation)
        if isinstance(verdict, Refused):
            return self._refuse(verdict)
        if self._spent:
            # A client that knows the state is the same browser: show it the result.
            known = expectation.stateless or same_state(visit.query, expectation)
            return self._refuse(Refused(Why.SPENT), self._outcome_path if known else None)
        self._take(verdict.params)
        self._browser_waits = True
        return Reply(self._pages.redirect(self._outcome_path))

    def _refuse(self, refused: Refused, link: str | None = None) -> Reply:
        return Reply(self._pages.refusal(refused.status, refused.why, link))

    def too_slow(self) -> bytes:
        """The answer to a request whose end does not come."""
        return self._pages.refusal(408, Why.SLOW)

    def still_waiting(self) -> bytes:
        """The page for a browser that asks while the sign-in is still being finished."""
        return self._pages.waiting()

    def held(self, *, closing: bool) -> Reply | None:
        """The answer to a browser that waits for the outcome; None while there is none. `closing`: answer in
        any case.
        """
        with self._changed:
            outcome = self._outcome or (CLOSED if closing else None)
        return Reply(self._pages.outcome(outcome), tells_outcome=True) if outcome else None

    def delivered(self) -> None:
        """The browser has the page with the outcome, so the port may close."""
        self._browser_left()

    def left(self) -> None:
        """The browser hung up before the outcome."""
        self._browser_left()

    def _browser_left(self) -> None:
        with self._changed:
            self._browser_waits = False
            self._changed.notify_all()


__all__ = ["CallbackListener", "Loopback"]
