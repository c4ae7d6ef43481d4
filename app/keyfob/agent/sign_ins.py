"""Sign-ins over the socket: begun, shown, pasted to and cancelled by their id.

Blocking and thread-safe. Called by `api`, which knows the addresses.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from keyfob.agent.http import BadRequestError
from keyfob.agent.remedies import REMEDIES
from keyfob.core.errors import KeyfobError, NotFound, Transient, Usage
from keyfob.core.methods import METHODS, Method
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.core.times import to_rfc3339
from keyfob.core.words import known
from keyfob.ports import Spawn
from keyfob.service.accounts.views import SIGN_IN_TIME, Progress, SignInRequest
from keyfob.service.sign_in.attempt import Attempt
from keyfob.service.sign_in.sign_in import SignIn

ENDED_WITHIN = 40.0  # seconds: saving a new account takes as long as the keychain does
SIGN_INS_KEPT = timedelta(minutes=30)  # after their end, so that a client can still ask how it went
ENDED_SIGN_INS_MOST = 64  # that are kept so long
SIGN_INS_MOST = 16  # in progress at a time: each has a thread, and a port for the browser to come back to
TIMEOUT_MOST = 86_400.0  # seconds
_STRINGS = (
    "provider", "method", "account", "label", "api_key", "password", "client_id", "client_secret",
    "allow_http",
)  # fmt: skip


@dataclass
class Running:
    """A sign-in that was begun over the socket."""

    attempt: Attempt
    ended: threading.Event = field(default_factory=threading.Event)
    ended_at: datetime | None = None


@dataclass
class SignIns:
    """The sign-ins that clients of the socket have begun."""

    sign_in: SignIn
    now: Callable[[], datetime]
    spawn: Spawn
    running: dict[str, Running] = field(default_factory=dict)  # by their id, ended ones too
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def close(self) -> None:
        """End them; one whose account is being saved is waited for, at most 40 s."""
        with self._lock:
            running = list(self.running.values())
        for each in running:
            if not each.attempt.cancel():
                each.ended.wait(ENDED_WITHIN)

    def begin(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Begin the sign-in that `body` describes, and show it. Raises BadRequestError and a KeyfobError."""
        request = request_of(body)
        with self._lock:
            self._forget_old()
            if sum(not each.ended.is_set() for each in self.running.values()) >= SIGN_INS_MOST:
                raise Transient(
                    "Too many sign-ins are in progress",
                    code="busy",
                    remedy="Finish or cancel one of them, then try again.",
                )
        attempt = self.sign_in.begin(request)
        running = Running(attempt)
        with self._lock:
            self.running[attempt.id] = running
        moving = threading.Event()
        attempt.observe(lambda progress: moving.set() if progress.url or progress.ended else None)

        def run() -> None:
            try:
                self.sign_in.run(attempt, self.spawn)
            except KeyfobError:
                pass  # the progress shows it
            finally:
                running.ended_at = self.now()
                running.ended.set()
                moving.set()

        self.spawn(run, "sign-in")
        # Most clients want the address next: with it in the first answer they need not ask again.
        moving.wait(5)
        return self.show(attempt.id)

    def show(self, one: str) -> dict[str, Any]:
        """How it stands. Raises NotFound `sign_in_not_found`."""
        return progress_json(one, self._found(one).attempt.progress)

    def cancel(self, one: str) -> dict[str, Any]:
        """End it, unless its account is being saved. Raises NotFound `sign_in_not_found`."""
        self._found(one).attempt.cancel()
        return self.show(one)

    def paste(self, one: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Hand in the address of the browser's last page. Raises BadRequestError and a KeyfobError."""
        text = body.get("url") or body.get("code") or body.get("text")
        if not isinstance(text, str):
            raise BadRequestError(400, "the address or code is missing: {url: …}")
        self._found(one).attempt.paste(text)
        return self.show(one)

    def _found(self, one: str) -> Running:
        with self._lock:
            running = self.running.get(one)
        if running is None:
            raise NotFound("This sign-in does not exist", code="sign_in_not_found")
        return running

    def _forget_old(self) -> None:
        now = self.now()
        ended = [name for name, running in self.running.items() if running.ended_at is not None]
        surplus = set(ended[:-ENDED_SIGN_INS_MOST])
        self.running = {
            name: running
            for name, running in self.running.items()
            if running.ended_at is None or (name not in surplus and now - running.ended_at < SIGN_INS_KEPT)
        }


def request_of(body: Mapping[str, Any]) -> SignInRequest:
    """Raises BadRequestError for what is of the wrong type, Usage for an unknown method."""
    wanted = {name: body.get(name) for name in _STRINGS}
    if any(value is not None and not isinstance(value, str) for value in wanted.values()):
        raise BadRequestError(400, f"{', '.join(_STRINGS[:-1])} and {_STRINGS[-1]} must be strings")
    inputs, access, timeout = body.get("inputs", {}), body.get("access"), body.get("timeout")
    scopes, only = body.get("scopes", []), body.get("only_scopes", [])
    if not isinstance(inputs, dict) or not isinstance(scopes, list) or not isinstance(only, list):
        raise BadRequestError(400, "inputs must be an object, and scopes and only_scopes lists")
    if access is not None and not isinstance(access, list):
        raise BadRequestError(400, "access must be a list")
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float))):
        raise BadRequestError(400, "timeout must be a number of seconds")
    if timeout is not None and not 1 <= timeout <= TIMEOUT_MOST:
        raise BadRequestError(400, "timeout must be a number of seconds from 1 to 86400")
    if not wanted["provider"] and not wanted["account"]:
        raise BadRequestError(400, "provider or account is missing")
    api_key, password, secret = (_secret(wanted[name]) for name in ("api_key", "password", "client_secret"))
    return SignInRequest(
        provider=wanted["provider"] or "",
        method=_method(wanted["method"]),
        account=wanted["account"],
        label=wanted["label"],
        access=None if access is None else tuple(str(name) for name in access),
        scopes=tuple(str(scope) for scope in scopes),
        only_scopes=tuple(str(scope) for scope in only),
        inputs={str(name): str(value) for name, value in inputs.items()},
        api_key=api_key,
        password=password,
        client_id=wanted["client_id"],
        client_secret=secret,
        timeout=SIGN_IN_TIME if timeout is None else float(timeout),
        open_browser=body.get("open_browser", True) is not False,
        switch_method=body.get("switch_method") is True,
        allow_http=wanted["allow_http"],
    )


def _secret(text: str | None) -> Secret | None:
    return Secret(text) if text else None


def _method(text: str | None) -> Method | None:
    """The request's sign-in method; None if it names none. Raises Usage."""
    method = known(METHODS, text)
    if text and method is None:
        raise Usage(
            f"{plain(text, 40)!r} is not a sign-in method", remedy=f"Use one of {', '.join(METHODS)}."
        )
    return method


def progress_json(one: str, progress: Progress) -> dict[str, Any]:
    """A sign-in as a client sees it. The address carries the attempt's state: it is for the user's
    browser.
    """
    error = progress.error
    return {
        "id": one,
        "provider": progress.provider,
        "provider_title": progress.provider_title,
        "method": progress.method,
        "stage": progress.stage,
        "ended": progress.ended,
        "url": progress.url.reveal() if progress.url and not progress.ended else None,
        "redirect_uri": progress.redirect_uri,
        "browser_opened": progress.browser_opened,
        "user_code": progress.user_code if not progress.ended else None,
        "verification_uri": progress.verification_uri,
        "verification_uri_complete": progress.verification_uri_complete,
        "expires_at": to_rfc3339(progress.deadline),
        "paste": progress.paste,
        "account": progress.account.to_json() if progress.account else None,
        "not_granted": list(progress.narrower),
        "error": {
            "code": error.code,
            "exit": error.exit_code,
            "message": error.full_message(),
            "remedy": error.remedy_in(REMEDIES),
            "detail": error.sentence(REMEDIES),
            "advice": str(error.advice),
            "reason": error.detail,
        }
        if error
        else None,
    }
