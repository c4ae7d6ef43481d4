"""The loopback callback listener (RFC 8252 §7.3): implements `ports.Listener`.

It holds the port before the browser opens, accepts exactly one callback with the right state, keeps its code
out of the browser's history, and shows the real result on the browser's last page. After the attempt's end it
takes nothing any more, but a browser that comes late still gets a page. Created by `Loopback`, used by the
sign-in service. The query of a callback is never logged or shown.
"""

from __future__ import annotations

import hmac
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta

from keyfob.adapters.loopback.handover import GIVE_WAY_PATH, hosts_at
from keyfob.adapters.loopback.pages import CLOSED, CallbackPages
from keyfob.adapters.loopback.server import LoopbackServer, Reply
from keyfob.core.errors import SignInEnded, Usage
from keyfob.core.http import Callback, Outcome
from keyfob.core.provider import RedirectProfile
from keyfob.ports import Clock, Entropy
from keyfob.protocol.effects import Expectation
from keyfob.protocol.oauth.callback import (
    Refused,
    Visit,
    Why,
    at_expected_path,
    judge,
    read_paste,
    read_request,
    same_state,
)

LATE_PAGE_FOR = 300.0  # seconds after its end that an attempt still answers the browser
DONE_PAGE_FOR = 60.0  # the same after a success: only the page that is there already may be loaded again
_CANCEL_POLL = 0.1  # seconds; an Event cannot wake a Condition
_OUTCOME_PATH_BYTES = 18


def timed_out() -> SignInEnded:
    """The error for a browser that did not come back in time."""
    return SignInEnded("The sign-in was not finished in time", code="timed_out")


class CallbackListener:
    """One attempt's listener. `serve` runs on a separate thread; every other method on any thread."""

    def __init__(
        self,
        profile: RedirectProfile,
        sockets: Sequence[socket.socket],
        clock: Clock,
        entropy: Entropy,
        pages: CallbackPages,
    ) -> None:
        """`sockets` listen on the redirect's port already; none for a profile with its own `uri`."""
        self._clock = clock
        self._pages = pages
        self._paste_form = profile.paste
        self._outcome_path = f"/finished/{entropy(_OUTCOME_PATH_BYTES)}"
        self._own_path = profile.path or "/"
        self._changed = threading.Condition()  # guards everything below
        self._expectation: Expectation | None = None
        self._spent = False  # an answer was taken
        self._over = False  # the attempt has ended: nothing is taken
        self._retired = False
        self._shows_late_page = True
        self._callback: Callback | None = None
        self._outcome: Outcome | None = None
        self._browser_waits = False
        if profile.uri:
            self.port = 0
            self._redirect_uri, self._hosts = profile.uri, frozenset[str]()
        else:
            self.port = int(sockets[0].getsockname()[1])
            host = "[::1]" if profile.host.strip("[]") == "::1" else profile.host
            self._redirect_uri = f"http://{host}:{self.port}{profile.path}"
            self._hosts = hosts_at(self.port, host)
        self._server = LoopbackServer(sockets, self)

    @property
    def redirect_uri(self) -> str:
        """As the provider receives it, with the port that is really used."""
        return self._redirect_uri

    @property
    def retired(self) -> bool:
        """Whether its attempt has ended, so that another may have the port."""
        return self._retired

    @property
    def ended(self) -> bool:
        """Whether the port is free again."""
        return self._server.ended

    def serve(self) -> None:
        """Blocks, answering requests, until `close`, or until some minutes after `retire`; the port is then
        free.
        """
        try:
            self._server.serve()
        finally:
            with self._changed:
                self._changed.notify_all()

    def close(self) -> None:
        """Free the port within a second, whether or not `serve` was ever called. Idempotent."""
        self._server.close()
        with self._changed:
            self._changed.notify_all()

    def close_soon(self) -> None:
        """Close once the attempt has ended, without the page for late browsers. Never blocks."""
        with self._changed:
            self._shows_late_page = False
            if self._retired:
                self._server.close(wait=False)

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
                if cancel.is_set() or self._over:
                    self._over = True
                    raise SignInEnded("The sign-in was cancelled", code="cancelled")
                if self._callback is not None:
                    callback, self._callback = self._callback, None
                    return callback
                if self._server.closed:
                    self._over = True
                    raise SignInEnded("Keyfob stopped waiting for the browser", code="cancelled")
                left = end - time.monotonic()
                if left <= 0:
                    self._over = True
                    raise timed_out()
                self._changed.wait(min(left, _CANCEL_POLL))

    def paste(self, text: str) -> None:
        """Take a pasted address or code instead of the browser's visit. Raises PeerFault, Usage; then the
        attempt keeps waiting.
        """
        with self._changed:
            if self._expectation is None or self._over:
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

    def retire(self, outcome: Outcome) -> None:
        """The attempt has ended: take nothing from here on, and show `outcome` to a browser that comes late,
        unless `conclude` has set another. The port is free for the next attempt at once, and for other
        programs after `LATE_PAGE_FOR`, or `DONE_PAGE_FOR` after a success. Idempotent; never blocks.
        """
        with self._changed:
            if self._retired:
                return
            self._retired = self._over = True
            self._outcome = self._outcome or outcome
            self._callback = None
            self._hosts |= hosts_at(self.port)
            if self._shows_late_page and self._expectation is not None and self.port:
                self._server.close_after(DONE_PAGE_FOR if self._outcome.ok else LATE_PAGE_FOR)
            else:
                self._server.close(wait=False)  # no browser was ever sent here
            self._changed.notify_all()

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
                    if self._retired and path == GIVE_WAY_PATH:
                        return Reply(self._pages.gave_way(), closes=True)
                    return self._answer(request)

    def _outcome_reply(self) -> Reply:
        self._browser_waits = True
        if self._outcome is None:
            return Reply(None)
        return Reply(self._pages.outcome(self._outcome), tells_outcome=True)

    def _answer(self, visit: Visit) -> Reply:
        expectation = self._expectation
        if expectation is None:
            return self._refuse(self._not_expected(visit))
        if self._spent or self._over:
            return self._answer_again(visit, expectation)
        verdict = judge(visit, expectation)
        if isinstance(verdict, Refused):
            return self._refuse(verdict)
        self._take(verdict.params)
        self._browser_waits = True
        return Reply(self._pages.redirect(self._outcome_path))

    def _answer_again(self, visit: Visit, expectation: Expectation) -> Reply:
        """For a reload, a second tab or a late answer: nothing of it is used."""
        # A client that knows the state is the same browser: show it how its sign-in ended.
        if at_expected_path(visit.path, expectation) and (
            expectation.stateless or same_state(visit.query, expectation)
        ):
            return Reply(self._pages.redirect(self._outcome_path))
        if self._over:
            return self._refuse(self._not_expected(visit))
        verdict = judge(visit, expectation)
        return self._refuse(verdict if isinstance(verdict, Refused) else Refused(Why.STATE))

    def _not_expected(self, visit: Visit) -> Refused:
        return Refused(Why.NOT_EXPECTED if visit.path == self._own_path else Why.NOT_FOUND)

    def _refuse(self, refused: Refused) -> Reply:
        return Reply(self._pages.refusal(refused.status, refused.why))

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


__all__ = ["LATE_PAGE_FOR", "CallbackListener", "timed_out"]
