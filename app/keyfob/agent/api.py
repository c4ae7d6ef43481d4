"""The agent's interface: one request in, one answer out. Blocking and thread-safe; knows no socket.

Refresh tokens, client secrets and private keys are never in an answer. An error is a problem document (RFC
9457) with Keyfob's code and advice.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from keyfob.agent.endpoints import Peer
from keyfob.agent.http import Answer, BadRequestError, Incoming, document
from keyfob.agent.remedies import REMEDIES
from keyfob.agent.replacing import Replacements
from keyfob.core.account import Account, LoggedEvent
from keyfob.core.errors import (
    Fault,
    KeychainError,
    KeyfobError,
    NotFound,
    PeerFault,
    SettingWrong,
    SignInEnded,
    SignInNeeded,
    Transient,
    Usage,
)
from keyfob.core.methods import METHODS, Method
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.core.times import to_rfc3339
from keyfob.core.words import known
from keyfob.ports import Spawn
from keyfob.service.accounts.accounts import Accounts
from keyfob.service.accounts.signer import Signer, SignRequest
from keyfob.service.accounts.views import Progress, SignInRequest, Token
from keyfob.service.consents import UnansweredError
from keyfob.service.sign_in.attempt import Attempt
from keyfob.service.sign_in.sign_in import SignIn

log = logging.getLogger(__name__)
PROBLEM = "application/problem+json"
PLAIN = "text/plain"  # the bare token, for clients that cannot afford a JSON parser
HEADER = "text/x-keyfob-header"  # the whole header line
_SECONDS = re.compile(r"[0-9]{1,10}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?")
MIN_LIFE_MOST = 10 * 365 * 86_400  # seconds
ENDED_WITHIN = 40.0  # seconds: saving a new account takes as long as the keychain does
SIGN_INS_KEPT = timedelta(minutes=30)  # after their end, so that a client can still ask how it went
ENDED_SIGN_INS_MOST = 64  # that are kept so long
SIGN_INS_MOST = 16  # in progress at a time: each has a thread, and a port for the browser to come back to

_STATUS: tuple[tuple[type[KeyfobError], int], ...] = (
    (Usage, 400),
    (SignInNeeded, 409),
    (KeychainError, 503),
    (Transient, 503),
    (SignInEnded, 409),
    (NotFound, 404),
    (SettingWrong, 409),
    (PeerFault, 502),
    (Fault, 500),
)


class Consent(Protocol):
    """Whether a program may have an account's token; see `agent/consent.py`."""

    def require(self, peer: Peer, account_id: str, account_key: str) -> None:
        """Raises SettingWrong `consent_refused`, and UnansweredError when the user must be asked first."""


@dataclass
class Running:
    """A sign-in that was begun over the socket."""

    attempt: Attempt
    ended: threading.Event = field(default_factory=threading.Event)
    ended_at: datetime | None = None


@dataclass
class Api:
    """Without `consent` every program of the user's may ask (the default; one switch in Settings)."""

    accounts: Accounts
    sign_in: SignIn
    signer: Signer
    now: Callable[[], datetime]
    spawn: Spawn
    consent: Consent | None = None
    running: dict[str, Running] = field(default_factory=dict)  # sign-ins by their id, ended ones too
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._replacements = Replacements(self.accounts, self.now)

    def answer(self, request: Incoming, peer: Peer, allowed: str | None = None) -> Answer:
        """The answer to anything but the event stream. Raises UnansweredError alone: ask again when the user
        has allowed it, with the key of the account in `allowed`.
        """
        try:
            if peer.forwarded:
                self._refuse_afar(request)
            return self._route(request, peer, allowed)
        except UnansweredError:
            raise
        except BadRequestError as error:
            return problem(Usage(str(error)), request, error.status)
        except KeyfobError as error:
            return problem(error, request)
        except Exception as bug:
            # Its kind alone: what it holds may be a token.
            log.error("a request failed: %s", type(bug).__name__)
            return problem(Fault(f"The agent failed: {type(bug).__name__}"), request)

    def close(self) -> None:
        """End the sign-ins that were begun here; one whose account is being saved is waited for, at most 40
        s.
        """
        with self._lock:
            running = list(self.running.values())
        for each in running:
            if not each.attempt.cancel():
                each.ended.wait(ENDED_WITHIN)

    def _refuse_afar(self, request: Incoming) -> None:
        """Another machine may use accounts marked shareable, and begin, change and watch nothing."""
        match request.parts:
            case ["v1", "accounts"]:
                return
            case ["v1", "accounts" | "token" | "sign", *ref] if self.accounts.view("/".join(ref)).shareable:
                return
            case ["v1", "accounts" | "token" | "sign", *_]:
                raise SettingWrong(
                    "This account is not shared with other machines", code="sharing_not_allowed"
                )
        raise BadRequestError(403, "other machines may not use this")

    def _route(self, request: Incoming, peer: Peer, allowed: str | None) -> Answer:
        match request.method, request.parts:
            case "GET", ["v1", "accounts"]:
                views = [view for view in self.accounts.views() if view.shareable or not peer.forwarded]
                return document({"accounts": [view.to_json() for view in views]})
            case "GET", ["v1", "accounts", *ref]:
                return document(self.accounts.view("/".join(ref)).to_json())
            case "GET", ["v1", "token", *ref]:
                return self._token(request, peer, "/".join(ref), None, allowed)
            case "POST", ["v1", "token", *ref]:
                return self._token(request, peer, "/".join(ref), _refused_token(request), allowed)
            case "POST", ["v1", "renew", *ref]:
                return document(self.accounts.renew("/".join(ref)).to_json())
            case "POST", ["v1", "sign", *ref]:
                return self._sign(request, peer, "/".join(ref), allowed)
            case _, ["v1", "sign-ins", *rest]:
                return self._route_sign_in(request, rest)
            case _, ["v1", "accounts" | "token" | "renew" | "sign", *_]:
                raise BadRequestError(405, f"{request.method} is not allowed at this address")
        raise BadRequestError(404, "there is nothing at this address")

    def _route_sign_in(self, request: Incoming, rest: list[str]) -> Answer:
        """`rest`: the parts of the address after /v1/sign-ins."""
        match request.method, rest:
            case "POST", []:
                return self._begin(request)
            case "GET", [one]:
                return document(self._shown(one))
            case "DELETE", [one]:
                self._found(one).attempt.cancel()
                return document(self._shown(one))
            case "POST", [one, "callback"]:
                return self._paste(request, one)
        raise BadRequestError(405, f"{request.method} is not allowed at this address")

    # --- tokens ---------------------------------------------------------------------------------------------

    def _token(
        self, request: Incoming, peer: Peer, ref: str, rejected: Secret | None, allowed: str | None
    ) -> Answer:
        record = self.accounts.resolve(ref)
        self._require(peer, record.account, allowed)
        life = min_life(request)
        wishes = life is not None or rejected is not None
        if wishes and not self._replacements.may(record, forwarded=peer.forwarded, rejected=rejected):
            wishes, life, rejected = False, None, None
        token = self.accounts.token(record.account.key, min_life=life, rejected=rejected)
        if wishes:
            self._replacements.note(record)
        return token_answer(token, request)

    def _require(self, peer: Peer, account: Account, allowed: str | None) -> None:
        if self.consent is not None and account.key != allowed:
            self.consent.require(peer, account.id, account.key)

    def _sign(self, request: Incoming, peer: Peer, ref: str, allowed: str | None) -> Answer:
        """Headers for one request of this account: for tokens that are bound to a key, which stays here."""
        record = self.accounts.resolve(ref)
        self._require(peer, record.account, allowed)
        wanted = SignRequest.of(request.json())
        refused = wanted.rejected
        wishes = refused is not None
        if wishes and not self._replacements.may(record, forwarded=peer.forwarded, rejected=refused):
            wishes, wanted = False, replace(wanted, rejected=None)
        signed = self.signer.sign(record.account.key, wanted, for_tool=True)
        if wishes:
            self._replacements.note(record)
        return document(signed.to_json())

    # --- signing in -----------------------------------------------------------------------------------------

    def _begin(self, request: Incoming) -> Answer:
        body = request.json()
        wanted = {name: body.get(name) for name in ("provider", "method", "account", "label", "api_key")}
        if any(value is not None and not isinstance(value, str) for value in wanted.values()):
            raise BadRequestError(400, "provider, method, account, label and api_key must be strings")
        inputs, scopes, access = body.get("inputs", {}), body.get("scopes", []), body.get("access")
        if not isinstance(inputs, dict) or not isinstance(scopes, list):
            raise BadRequestError(400, "inputs must be an object and scopes a list")
        if access is not None and not isinstance(access, list):
            raise BadRequestError(400, "access must be a list")
        if not wanted["provider"] and not wanted["account"]:
            raise BadRequestError(400, "provider or account is missing")
        with self._lock:
            self._forget_old()
            if sum(not each.ended.is_set() for each in self.running.values()) >= SIGN_INS_MOST:
                raise Transient(
                    "Too many sign-ins are in progress",
                    code="busy",
                    remedy="Finish or cancel one of them, then try again.",
                )
        attempt = self.sign_in.begin(
            SignInRequest(
                provider=wanted["provider"] or "",
                method=_method(wanted["method"]),
                account=wanted["account"],
                label=wanted["label"],
                access=None if access is None else tuple(str(name) for name in access),
                scopes=tuple(str(scope) for scope in scopes),
                inputs={str(name): str(value) for name, value in inputs.items()},
                api_key=Secret(wanted["api_key"]) if wanted["api_key"] else None,
                open_browser=body.get("open_browser", True) is not False,
                switch_method=body.get("switch_method") is True,
            )
        )
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
        return document(self._shown(attempt.id), 201)

    def _paste(self, request: Incoming, one: str) -> Answer:
        body = request.json()
        text = body.get("url") or body.get("code") or body.get("text")
        if not isinstance(text, str):
            raise BadRequestError(400, "the address or code is missing: {url: …}")
        self._found(one).attempt.paste(text)
        return document(self._shown(one))

    def _found(self, one: str) -> Running:
        with self._lock:
            running = self.running.get(one)
        if running is None:
            raise NotFound("This sign-in does not exist", code="sign_in_not_found")
        return running

    def _shown(self, one: str) -> dict[str, Any]:
        return progress_json(one, self._found(one).attempt.progress)

    def _forget_old(self) -> None:
        now = self.now()
        ended = [name for name, running in self.running.items() if running.ended_at is not None]
        surplus = set(ended[:-ENDED_SIGN_INS_MOST])
        self.running = {
            name: running
            for name, running in self.running.items()
            if running.ended_at is None or (name not in surplus and now - running.ended_at < SIGN_INS_KEPT)
        }


def _method(text: str | None) -> Method | None:
    """The request's sign-in method; None if it names none. Raises Usage."""
    method = known(METHODS, text)
    if text and method is None:
        raise Usage(
            f"{plain(text, 40)!r} is not a sign-in method", remedy=f"Use one of {', '.join(METHODS)}."
        )
    return method


def min_life(request: Incoming) -> timedelta | None:
    """The query's `min_life` in seconds, None if it is not given. Raises BadRequestError."""
    text = request.query.get("min_life")
    if text is None:
        return None
    # Python's own reading takes 1_0, nan and other scripts' digits too.
    seconds = float(text) if _SECONDS.fullmatch(text) else -1.0
    if not 0 <= seconds <= MIN_LIFE_MOST:
        raise BadRequestError(400, "min_life must be a number of seconds")
    return timedelta(seconds=seconds)


def token_answer(token: Token, request: Incoming) -> Answer:
    """A token in the form the request accepts."""
    accept = request.headers.get("accept", "")
    if accept == PLAIN:
        return Answer(200, token.token.reveal().encode(), PLAIN)
    if accept == HEADER:
        value = token.header_value or Secret(f"Bearer {token.token.reveal()}")
        return Answer(200, f"{token.header_name}: {value.reveal()}".encode(), HEADER)
    return document(token.to_json())


def _refused_token(request: Incoming) -> Secret:
    """The token that the provider refused, from the body. Raises BadRequestError if it is missing."""
    rejected = request.json().get("rejected")
    if not isinstance(rejected, str) or not rejected:
        raise BadRequestError(400, "the refused token is missing: {rejected: …}")
    return Secret(rejected)


def problem(error: KeyfobError, request: Incoming, status: int | None = None) -> Answer:
    """RFC 9457, with `code`, `detail` and `advice`; `exit` is what the command line would exit with."""
    if status is None:
        status = next((number for kind, number in _STATUS if isinstance(error, kind)), 500)
        if error.code == "rate_limited":
            status = 503
    headers: list[tuple[str, str]] = [("Keyfob-Exit", str(error.exit_code))]
    if error.retry_after is not None:
        headers.append(("Retry-After", str(max(1, round(error.retry_after.total_seconds())))))
    remedy = error.remedy_in(REMEDIES)
    sentence = error.sentence(REMEDIES)
    if request.headers.get("accept") in (PLAIN, HEADER):
        return Answer(status, sentence.encode(), PLAIN, tuple(headers))
    body = {
        "type": f"urn:keyfob:error:{error.code}",
        "title": error.full_message(),
        "status": status,
        "code": error.code,
        "detail": sentence,
        "message": error.full_message(),
        "remedy": remedy,
        "reason": error.detail,
        "advice": str(error.advice),
        "exit": error.exit_code,
    }
    return Answer(status, json.dumps(body).encode() + b"\n", PROBLEM, tuple(headers))


def progress_json(one: str, progress: Progress) -> dict[str, Any]:
    """A sign-in as a client sees it. The address carries the attempt's state: it is for the user's
    browser.
    """
    error = progress.error
    return {
        "id": one,
        "provider": progress.provider,
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
        "error": {
            "code": error.code,
            "detail": error.sentence(REMEDIES),
            "advice": str(error.advice),
            "reason": error.detail,
        }
        if error
        else None,
    }


def event_line(event: LoggedEvent) -> bytes:
    """One server-sent event; the id lets a client continue where it was cut off."""
    data = json.dumps(event.to_json())
    head = f"id: {event.seq}\n" if event.seq else ""
    return f"{head}event: {event.kind}\ndata: {data}\n\n".encode()
