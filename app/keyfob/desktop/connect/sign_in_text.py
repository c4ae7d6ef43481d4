"""The progress of a sign-in and its outcome, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from keyfob.core import time_words
from keyfob.core.error_codes import Advice
from keyfob.core.errors import KeyfobError
from keyfob.core.methods import METHOD_FACTS, Method, holds_key
from keyfob.core.provider import EMPTY
from keyfob.core.words import Stage
from keyfob.desktop.connect.forms import web_page
from keyfob.desktop.connect.models import Failure, Step, Success, Waiting
from keyfob.desktop.shared.remedies import remedy
from keyfob.desktop.window.models import KEYCHAIN_BUTTONS as BUTTONS
from keyfob.desktop.window.names import face_of, name_of, shorter
from keyfob.desktop.window.status_text import kept_back
from keyfob.service.accounts.views import Progress

CHANGE = "Edit"  # what was entered in the form
AS_NEW = "Connect as a new account"


def waiting(progress: Progress, now: datetime, who: str = "") -> Waiting:
    """The progress of a sign-in in words. `who`: the name of the account that signs in again."""
    title, left = progress.provider_title, ""
    if progress.deadline is not None:
        left = f"{time_words.countdown(progress.deadline - now)} left"
    facts = METHOD_FACTS[progress.method]
    if facts.shows_code:
        return _device(progress, left, who)
    steps: tuple[tuple[str, Stage], ...]
    if facts.asks_for is not None or facts.by_client:
        steps = (("Check with the provider", "checking"), ("Save in your keychain", "saving"))
        lead = f"Keyfob is asking {title} {'for a token' if facts.by_client else 'who you are'}."
    else:
        ready = "Ready for your browser"
        if progress.redirect_uri and progress.redirect_uri.startswith("http://127.0.0.1:"):
            ready = f"Ready on {progress.redirect_uri.split('/')[2]}"
        opened = "Browser opened" if progress.browser_opened is not False else "The browser did not open"
        steps = (
            (ready, "ready"),
            (opened, "browser"),
            ("Waiting for you", "waiting"),
            ("Check who signed in", "checking"),
            ("Save in your keychain", "saving"),
        )
        lead = "Your browser is open. Allow access there, then come back."
        if progress.browser_opened is False:
            lead = "No browser opened. Copy the link and open it in any browser."
        elif progress.stage in ("preparing", "ready"):
            lead = "Your browser opens in a moment."
        elif progress.stage in ("checking", "saving"):
            lead = "You can close the page in your browser."
    note = left if progress.stage in ("waiting", "browser") else ""
    paste = {
        None: None,
        "url": "Paste the address of the browser’s last page",
        "code": "Paste the code from the page",
        "code#state": "Paste the code from the page",
    }[progress.paste if progress.stage in ("waiting", "browser", "ready") else None]
    return Waiting(
        _title(progress, who),
        lead,
        _steps(steps,
               "waiting" if progress.stage == "browser" and progress.browser_opened else progress.stage, note,
               failed="browser" if progress.browser_opened is False else None),
        progress.url is not None and progress.stage in ("browser", "waiting"),
        paste,
        None, None, None, left,
    )  # fmt: skip


def _title(progress: Progress, who: str) -> str:
    title = progress.provider_title
    if holds_key(progress.method) or METHOD_FACTS[progress.method].by_client:
        return f"Connecting {who} at {title}" if who else f"Connecting {title}"
    return f"Sign in as {who} at {title}" if who else f"Sign in at {title}"


def _device(progress: Progress, left: str, who: str) -> Waiting:
    page = progress.verification_uri
    shown = (page or "").removeprefix("https://").removeprefix("http://")
    lead = f"On any device, open {shown} and enter this code." if page else "Getting a code …"
    stage: Stage = "waiting" if progress.stage == "code" else progress.stage
    steps: tuple[tuple[str, Stage], ...] = (
        ("Waiting for you", "waiting"),
        ("Check who signed in", "checking"),
        ("Save in your keychain", "saving"),
    )
    return Waiting(
        _title(progress, who),
        lead,
        _steps(steps, stage, left if stage == "waiting" else ""),
        False,
        None,
        progress.user_code,
        web_page(page),
        progress.verification_uri_complete or page,
        left,
    )


def _steps(
    steps: Sequence[tuple[str, Stage]], stage: Stage, note: str, failed: Stage | None = None
) -> tuple[Step, ...]:
    names = [name for _, name in steps]
    reached = names.index(stage) if stage in names else len(names) if stage == "done" else -1
    if stage == "ready":
        reached = names.index("ready") + 1 if "ready" in names else 0
    out = []
    for number, (text, name) in enumerate(steps):
        if name == failed and number <= max(reached, 1):
            state = "failed"
        elif number < reached:
            state = "done"
        elif number == reached or (reached < 0 and number == 0):
            state = "now"
        else:
            state = "later"
        out.append(Step(text, note if name == "waiting" and state == "now" else "", state))
    return tuple(out)


def success(progress: Progress, pictures: Mapping[str, str] = EMPTY) -> Success:
    """The words for an account that was connected, or recognised and renewed. `pictures`: files by the
    account's key.
    """
    account = progress.account
    assert account is not None
    name = name_of(account)
    parts = [account.provider_title]
    if account.plan:
        parts.append(account.plan)
    if progress.recognised:
        parts.append("already in your list, signed in again")
    elif progress.reconnected:
        parts.append("signed in again")
    if account.refused_words:
        parts.append(f"not allowed: {', '.join(account.refused_words)}")
    old = progress.recognised or progress.reconnected
    return Success(
        f"Connected as {name}",
        " · ".join(parts),
        face_of(account, pictures),
        "Not you?",
        "Disconnect" if old else "Revoke and remove",
        account.id,
        f"keyfob token {account.id}" if account.shareable else "",
        kept_back(account) or "Your tools can use this account now.",
    )


def failure(progress: Progress, who: str = "") -> Failure:
    """The words for a sign-in that brought no account. `who`: as in `waiting`."""
    if progress.error is None:
        return Failure(
            _failed(progress.provider_title, who), "Keyfob does not know why.", "Try again.", "", "Try again"
        )
    return refusal(progress.error, progress.provider_title, progress.provider, progress.method, who)


def refusal(
    error: KeyfobError,
    title: str = "The account",
    provider: str = "",
    method: Method | None = None,
    who: str = "",
) -> Failure:
    """As `failure`, also for an error that came before there was a sign-in."""
    title = _failed(title, who)
    message = error.message.rstrip(".") + "."
    details = "\n".join(
        f"{name}: {value}"
        for name, value in (
            ("provider", provider),
            ("method", method),
            ("code", error.code),
            ("advice", str(error.advice)),
            ("message", error.message),
            ("detail", error.detail),
        )
        if value
    )
    if error.code == "subject_mismatch":
        again = f"Try again as {shorter(who)}" if who else "Try again"
        return Failure(title, message, remedy(error), details, again, other=AS_NEW)
    if error.code in BUTTONS:
        return Failure(title, message, remedy(error), details, BUTTONS[error.code], unlock=True)
    if error.code == "client_key_missing":
        key_for = error.facts.get("provider", "")
        return Failure(title, message, remedy(error), details, "Create a key", key_for=key_for)
    if error.code in ("port_taken", "fixed_port_taken"):
        # Only a port that Settings sets can be changed there.
        in_settings = error.code == "port_taken"
        return Failure(title, message, remedy(error), details, "Try again", settings=in_settings)
    retry = CHANGE if error.advice is Advice.FIX_SETTING else "Try again"
    return Failure(title, message, remedy(error), details, retry)


def key_created(public: str) -> Failure:
    """A private key was created, and the provider needs its public half: `public`, a JWKS."""
    return Failure(
        "The key is in your keychain",
        "The provider does not know it yet.",
        "Copy the public key, add it to your app registration at the provider, and try again.",
        public,
        "Try again",
        copies="Copy public key",
    )


def _failed(provider: str, who: str) -> str:
    """An account that exists may well go on as before: only its new sign-in failed."""
    return f"{who} was not signed in again" if who else f"{provider} was not connected"
