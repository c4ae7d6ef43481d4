"""The agent's interface: one request in, one answer out. Blocking and thread-safe; knows no socket.

Refresh tokens, client secrets and private keys are never in an answer. An error is a problem document (RFC
9457) with Keyfob's code and advice.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import NoneType
from typing import Any, Protocol

from keyfob.agent.control import Control
from keyfob.agent.endpoints import Peer
from keyfob.agent.http import Answer, BadRequestError, Incoming, document
from keyfob.agent.remedies import REMEDIES
from keyfob.agent.replacing import Replacements
from keyfob.agent.sign_ins import SignIns
from keyfob.core.account import Account, LoggedEvent
from keyfob.core.error_codes import ErrorCode
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
from keyfob.core.secret import Secret
from keyfob.core.words import MADE_ALGORITHMS, known
from keyfob.service.accounts.accounts import Accounts
from keyfob.service.accounts.id_tokens import IdTokens
from keyfob.service.accounts.signer import Signer, SignRequest
from keyfob.service.accounts.tool_tokens import header_of
from keyfob.service.accounts.views import Token
from keyfob.service.consents import UnansweredError
from keyfob.service.sign_in.client_keys import ClientKeys

log = logging.getLogger(__name__)
PROBLEM = "application/problem+json"
PLAIN = "text/plain"  # the bare token, for clients that cannot afford a JSON parser
HEADER = "text/x-keyfob-header"  # the whole header line
_ACTIONS = ("renew", "test", "rename", "disconnect", "remove")  # on an account
_KINDS = ("accounts", "token", "id-token", "sign", "consent", *_ACTIONS)
_SECONDS = re.compile(r"[0-9]{1,10}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?")
MIN_LIFE_MOST = 10 * 365 * 86_400  # seconds

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
_STATUS_OF: Mapping[ErrorCode, int] = {"rate_limited": 503, "account_elsewhere": 403}


# Provider id, inputs, client id, client secret.
ClientKeeper = Callable[[str, Mapping[str, str], str, Secret | None], None]


class Consent(Protocol):
    """Whether a program may have an account's token; see `agent/consent.py`."""

    def require(self, peer: Peer, account_id: str, account_key: str) -> None:
        """Raises SettingWrong `consent_refused`, and UnansweredError when the user must be asked first."""


@dataclass
class Api:
    """Without `consent` every program of the user's may ask (the default; one switch in Settings)."""

    accounts: Accounts
    sign_ins: SignIns
    signer: Signer
    now: Callable[[], datetime]
    consent: Consent | None = None
    keys: ClientKeys | None = None
    control: Control | None = None
    id_tokens: IdTokens | None = None
    keep_client: ClientKeeper | None = None

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
        """End the sign-ins that were begun here; see `SignIns.close`."""
        self.sign_ins.close()

    def _refuse_afar(self, request: Incoming) -> None:
        """Another machine may use accounts marked shareable, and begin, change and watch nothing."""
        match request.parts:
            case ["v1", "accounts"]:
                return
            case ["v1", "accounts" | "token" | "id-token" | "sign", *ref] if self.accounts.view(
                "/".join(ref)
            ).shareable:
                return
            case ["v1", "accounts" | "token" | "id-token" | "sign", *_]:
                raise SettingWrong(
                    "This account is not shared with other machines", code="sharing_not_allowed"
                )
        raise NotFound("This agent is on another machine and only gives out tokens", code="account_elsewhere")

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
            case "GET", ["v1", "id-token", *ref] if self.id_tokens is not None:
                account = self.accounts.resolve("/".join(ref)).account
                self._require(peer, account, allowed)
                return token_answer(self.id_tokens.token(account.key), request)
            case "POST", ["v1", "consent", *ref]:
                account = self.accounts.resolve("/".join(ref)).account
                self._consent(peer, account, allowed)
                return document({"account": account.id})
            case "POST", ["v1", "sign", *ref]:
                return self._sign(request, peer, "/".join(ref), allowed)
            case "POST", ["v1", what, *ref] if what in _ACTIONS:
                return document(self._act(request, what, "/".join(ref)))
            case _, ["v1", kind, *_] if kind in _KINDS:
                raise _not_allowed(request)
            case _, ["v1", *rest]:
                return self._route_rest(request, rest)
        raise _nothing_here()

    def _route_rest(self, request: Incoming, parts: list[str]) -> Answer:
        """What is not about an account. `parts`: those of the address after /v1."""
        match request.method, parts:
            case _, ["sign-ins", *rest]:
                return self._route_sign_in(request, rest)
            case _, ["keys", *rest] if self.keys is not None:
                return self._route_keys(request, self.keys, rest)
            case "POST", ["clients", provider] if self.keep_client is not None:
                return document(_kept(request, provider, self.keep_client))
            case _, ["clients", *_]:
                raise _not_allowed(request)
            case _, ["agent", *rest] if self.control is not None:
                return self._route_agent(request, self.control, rest)
        raise _nothing_here()

    def _route_sign_in(self, request: Incoming, rest: list[str]) -> Answer:
        """`rest`: the parts of the address after /v1/sign-ins."""
        match request.method, rest:
            case "POST", []:
                return document(self.sign_ins.begin(request.json()), 201)
            case "GET", [one]:
                return document(self.sign_ins.show(one))
            case "DELETE", [one]:
                return document(self.sign_ins.cancel(one))
            case "POST", [one, "callback"]:
                return document(self.sign_ins.paste(one, request.json()))
        raise _not_allowed(request)

    def _route_keys(self, request: Incoming, keys: ClientKeys, rest: list[str]) -> Answer:
        """`rest`: the parts of the address after /v1/keys."""
        match request.method, rest:
            case "GET", []:
                return document({"keys": [key.to_json() for key in keys.all()]})
            case "POST", []:
                body = request.json()
                alg, provider = known(MADE_ALGORITHMS, body.get("alg", "ES256")), body.get("provider")
                if alg is None or not isinstance(provider, (str, NoneType)):
                    raise BadRequestError(400, f"alg must be one of {', '.join(MADE_ALGORITHMS)}")
                return document(keys.generate(alg, provider).to_json(), 201)
            case "DELETE", [one]:
                return document(keys.remove(one, force=request.query.get("force") == "1").to_json())
        raise _not_allowed(request)

    def _route_agent(self, request: Incoming, control: Control, rest: list[str]) -> Answer:
        """`rest`: the parts of the address after /v1/agent."""
        match request.method, rest:
            case "GET", []:
                pass
            case "POST", ["stop"]:
                control.stop()
            case "POST", ["restart"]:
                control.restart()
            case "POST", ["lock"]:
                control.lock()
            case "POST", ["unlock"]:
                passphrase = request.json().get("passphrase")
                if not isinstance(passphrase, (str, NoneType)):
                    raise BadRequestError(400, "passphrase must be a string")
                control.unlock(Secret(passphrase) if passphrase else None)
            case _:
                raise _not_allowed(request)
        return document(control.status())

    def _act(self, request: Incoming, what: str, ref: str) -> dict[str, Any]:
        """What a command does to an account."""
        if what == "renew":
            return self.accounts.renew(ref).to_json()
        if what == "test":
            return self.accounts.test(ref).to_json()
        if what == "rename":
            return self.accounts.rename(ref, _text(request, "label")).to_json()
        local = request.json().get("local") is True
        account = self.accounts.view(ref).id
        end = self.accounts.remove if what == "remove" else self.accounts.disconnect
        return {"id": account, **end(ref, local=local).to_json()}

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
        if self.control is not None and self.control.vault.locked:
            # Not left to the vault: a token whose renewal is still being saved comes from memory.
            raise KeychainError("The agent is locked", code="agent_locked")
        self._consent(peer, account, allowed)

    def _consent(self, peer: Peer, account: Account, allowed: str | None) -> None:
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
        name, value = header_of(token)
        return Answer(200, f"{name}: {value.reveal()}".encode(), HEADER)
    return document(token.to_json())


def _kept(request: Incoming, provider: str, keep: ClientKeeper) -> dict[str, Any]:
    """Keeps the user's app registration at a provider. Raises BadRequestError."""
    body = request.json()
    client_id, secret, inputs = _text(request, "client_id"), body.get("client_secret"), body.get("inputs", {})
    if not isinstance(secret, (str, NoneType)):
        raise BadRequestError(400, "client_secret must be a string")
    if not isinstance(inputs, dict) or not all(isinstance(each, str) for each in inputs.values()):
        raise BadRequestError(400, "inputs must be an object of strings")
    keep(provider, inputs, client_id, Secret(secret) if secret else None)
    return {"provider": provider, "client_id": client_id}


def _refused_token(request: Incoming) -> Secret:
    """The token that the provider refused, from the body. Raises BadRequestError if it is missing."""
    return Secret(_text(request, "rejected"))


def _text(request: Incoming, name: str) -> str:
    """A text of the body. Raises BadRequestError if it is missing."""
    text = request.json().get(name)
    if not isinstance(text, str) or not text:
        raise BadRequestError(400, f"the body must be {{{name}: …}}")
    return text


def _nothing_here() -> BadRequestError:
    return BadRequestError(404, "there is nothing at this address")


def _not_allowed(request: Incoming) -> BadRequestError:
    return BadRequestError(405, f"{request.method} is not allowed at this address")


def problem(error: KeyfobError, request: Incoming, status: int | None = None) -> Answer:
    """RFC 9457, with `code`, `detail` and `advice`; `exit` is what the command line would exit with."""
    if status is None:
        status = next((number for kind, number in _STATUS if isinstance(error, kind)), 500)
        status = _STATUS_OF.get(error.code, status)
    headers: list[tuple[str, str]] = [("Keyfob-Exit", str(error.exit_code)), ("Keyfob-Code", error.code)]
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


def event_line(event: LoggedEvent) -> bytes:
    """One server-sent event; the id lets a client continue where it was cut off."""
    data = json.dumps(event.to_json())
    head = f"id: {event.seq}\n" if event.seq else ""
    return f"{head}event: {event.kind}\ndata: {data}\n\n".encode()
