"""A provider's last sign-in, kept for `keyfob providers report`: which requests were sent and how they were
answered, without what was in them.

Only the names of a token answer's fields are kept, and of a failure its code and the provider's words, with
everything taken out that could be a secret or name somebody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from keyfob.core.account import Account
from keyfob.core.errors import KeyfobError
from keyfob.core.http import Request, Response
from keyfob.core.scrubbed import scrubbed
from keyfob.core.text import plain
from keyfob.core.times import to_rfc3339
from keyfob.ports import AccountStore, Clock
from keyfob.protocol.http.responses import NotStrictError, error_of, parse_object
from keyfob.service.accounts.views import Progress
from keyfob.service.runner import watched
from keyfob.service.sign_in.attempt import Attempt
from keyfob.service.sign_in.commit import quietly

STEPS_MOST = 40
FIELDS_MOST = 40
WORDS_MOST = 400  # characters
TOKENS = frozenset({"token", "device", "refresh"})  # purposes of requests whose answer has tokens
_NAMES = "sign-in-trace/"
_FIELD = re.compile(r"[A-Za-z][A-Za-z_.-]{0,39}")


@dataclass(slots=True)
class Trace:
    """One sign-in as it goes on. Used by the thread that runs it."""

    begun: datetime
    steps: list[dict[str, Any]] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    _words: str = field(default="", repr=False)  # of the last answer, as they came

    def answered(self, request: Request, outcome: Response | KeyfobError) -> None:
        """Note a request and its answer, or why there was none."""
        step: dict[str, Any] = {"for": request.purpose}
        if isinstance(outcome, KeyfobError):
            step["failed"] = outcome.code
        else:
            step["status"] = outcome.status
            self._words = _words_of(outcome)
            if request.purpose in TOKENS:
                step["fields"] = field_names(outcome)
        if self.steps and {**self.steps[-1], "times": 1} == {**step, "times": 1}:
            self.steps[-1]["times"] = self.steps[-1].get("times", 1) + 1
        elif len(self.steps) < STEPS_MOST:
            self.steps.append(step)

    def progressed(self, progress: Progress) -> None:
        """Note the stage that the sign-in has come to."""
        if not self.stages or self.stages[-1] != progress.stage:
            self.stages.append(progress.stage)

    def to_json(self, method: str, error: KeyfobError | None, known: Iterable[str]) -> dict[str, Any]:
        """The sign-in as it is kept. `known`: what was entered and what is known of the accounts."""
        document: dict[str, Any] = {
            "at": to_rfc3339(self.begun),
            "method": method,
            "ok": error is None,
            "stages": self.stages,
            "requests": self.steps,
        }
        if error is not None:
            document["code"] = error.code
            document["words"] = plain(scrubbed(error.detail or self._words, known), WORDS_MOST)
        return document


def words_about(account: Account) -> list[str]:
    """What is known of an account's person and server: no report may repeat it."""
    own = (account.subject, account.name, account.email, account.label, account.pin.client_id)
    return [*(value for value in own if value), *account.pin.inputs.values()]


# Fields of answers to requests for tokens: RFC 6749, 8628 and 9396, OpenID Connect, and providers' own ones.
KNOWN_FIELDS = frozenset((
    "access_token", "acr", "amr", "api_domain", "api_server_url", "athlete", "audience", "auth_time",
    "authed_user", "authorization_details", "bot_user_id", "client_id", "client_secret",
    "client_secret_expires_at", "code", "country", "created_at", "data", "device_code", "did", "domain",
    "email", "endpoint", "enterprise", "error", "error_codes", "error_description", "error_uri",
    "errors", "expires", "expires_at", "expires_in", "expiry", "ext_expires_in", "foci", "grant_type",
    "handle", "host", "id", "id_token", "id_token_expires_in", "instance_url", "interval",
    "is_enterprise_install", "iss", "issued_at", "issued_token_type", "jti", "mac_key", "message",
    "nonce", "not_before", "ok", "organization", "owner", "path", "plan", "profile", "profile_info",
    "realm", "refresh_expires_in", "refresh_token", "refresh_token_expires_in", "region", "resource",
    "rt", "scope", "scopes", "session_state", "signature", "state", "status", "sub", "subject", "team",
    "timestamp", "token", "token_type", "ts", "type", "uid", "url", "user", "user_code", "user_id",
    "userid", "username", "verification_uri", "verification_uri_complete", "verification_url",
    "version", "workspace_id", "workspace_name",
))  # fmt: skip


def field_names(response: Response) -> list[str]:
    """The names of an answer's fields, in order, two levels deep. A name that may be a value is left out."""
    try:
        data = parse_object(response)
    except NotStrictError:
        return []
    names: list[str] = []
    for name, value in data.items():
        names.append(name)
        if isinstance(value, dict):
            names += [f"{name}.{inner}" for inner in value]
    return sorted(name for name in names if _FIELD.fullmatch(name))[:FIELDS_MOST]


def shown_fields(names: Iterable[str]) -> list[str]:
    """The names that a report may show. For those that Keyfob does not know, which may be a user's, how many
    there are.
    """
    listed = list(names)
    known = [name for name in listed if all(part in KNOWN_FIELDS for part in name.split("."))]
    others = len(listed) - len(known)
    return [*known, f"{others} other{'s' if others > 1 else ''}"] if others else known


def _words_of(response: Response) -> str:
    """The error in an answer, if there is one."""
    try:
        code, description = error_of(parse_object(response))
    except NotStrictError:
        return ""
    return ": ".join(part for part in (code, description) if part) if code else ""


class Traces:
    """The last sign-in of each provider. Thread-safe. Raises the store's Fault."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    @contextmanager
    def watching(self, attempt: Attempt) -> Iterator[None]:
        """Keeps what happens on this thread in the block as the last sign-in of the attempt's provider."""
        trace = Trace(self._clock())
        forget = attempt.observe(trace.progressed)
        failure: KeyfobError | None = None
        try:
            with watched(trace.answered):
                yield
        except KeyfobError as error:
            failure = error
            raise
        finally:
            forget()
            request, progress = attempt.request, attempt.progress
            entered = [*request.inputs.values(), request.client_id or "", request.label or ""]
            # It matters less than the sign-in: on a full disk it is missing, and that is all.
            quietly(lambda: self._keep(progress, trace, failure, entered))

    def _keep(
        self, progress: Progress, trace: Trace, failure: KeyfobError | None, entered: list[str]
    ) -> None:
        accounts = [each.account for each in self._store.records()]
        theirs = [each for each in accounts if each.provider == progress.provider]
        known = [*entered, *(word for account in theirs for word in words_about(account))]
        text = json.dumps(trace.to_json(progress.method, failure, known))
        self._store.write(_NAMES + progress.provider, text)

    def last(self, provider_id: str) -> dict[str, Any] | None:
        """The last sign-in at this provider; None if none is known."""
        text = self._store.read(_NAMES + provider_id)
        found = json.loads(text) if text else None
        if not isinstance(found, dict):
            return None
        for step in found["requests"]:
            if "fields" in step:
                step["fields"] = shown_fields(step["fields"])
        return found
