"""What a flow may ask for, and what a flow is.

A flow is a generator: it yields effects, receives their results and returns its value. It has no I/O, clock
or randomness. The runner (`service/runner.py`) performs the effects, and a test performs them with a script.
A failed `Send` is thrown into the flow as `Transient` or `SettingWrong` (TLS), and the flow may handle it.
`Response.at` and `Callback.at` have the time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from keyfob.core.grant import Grant
from keyfob.core.http import Callback, Request, Response
from keyfob.core.secret import Secret
from keyfob.core.words import Stage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """Send one request, following no redirect. Result: `Response`."""

    request: Request


@dataclass(frozen=True, slots=True)
class Keep:
    """A grant that was received, before anything in it is checked. A renewal stores it; a sign-in holds it
    until the account is saved, and revokes it if the sign-in fails. Result: None, only once that is done.
    """

    grant: Grant


@dataclass(frozen=True, slots=True)
class OpenBrowser:
    """Open this address in the user's own browser. Result: None. The
    URL carries state, so it is not logged.
    """

    url: Secret


@dataclass(frozen=True, slots=True)
class Expectation:
    """What an authorization response must show to be this attempt's (RFC 6749 §10.12, RFC 9207 §2.4)."""

    state: Secret
    issuer: str | None = None
    iss_required: bool = False
    path: str = "/callback"
    code_param: str = "code"
    stateless: bool = False  # OpenRouter and similar send no state back; the path then carries it


@dataclass(frozen=True, slots=True)
class AwaitCallback:
    """Wait for the authorization response. Result: `Callback`. Raises SignInEnded on cancel and timeout."""

    expectation: Expectation


@dataclass(frozen=True, slots=True)
class ShowCode:
    """Show the user a device code (RFC 8628 §3.3). Result: None, at once."""

    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """Let time pass; ends early only with SignInEnded on cancel. Result: None."""

    span: timedelta


@dataclass(frozen=True, slots=True)
class Step:
    """Show the user that the sign-in has come to this stage. Result: None, at once."""

    stage: Stage


Effect = Send | Keep | OpenBrowser | AwaitCallback | ShowCode | Wait | Step
Flow = Generator[Effect, Any, T]
NewId = Callable[[], str]  # a fresh unguessable string each call: jti, states

__all__ = [
    "AwaitCallback",
    "Callback",
    "Effect",
    "Expectation",
    "Flow",
    "Keep",
    "NewId",
    "OpenBrowser",
    "Request",
    "Response",
    "Send",
    "ShowCode",
    "Step",
    "Wait",
]
