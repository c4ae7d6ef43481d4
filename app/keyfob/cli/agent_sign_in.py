"""A sign-in that the agent does, for a command that cannot open the encrypted file: the agent listens for the
browser and saves the account. The browser is this command's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from keyfob.cli.session import Session
from keyfob.cli.through_agent import through_agent
from keyfob.cli.views import view_of
from keyfob.client import running_agent
from keyfob.client.connection import AgentGoneError
from keyfob.client.errors import error_of
from keyfob.core.account import AccountView
from keyfob.core.errors import Fault, KeyfobError, SettingWrong, SignInEnded
from keyfob.core.secret import Secret
from keyfob.core.times import from_rfc3339
from keyfob.ports import Browser
from keyfob.service.accounts.views import Progress, SignInRequest
from keyfob.service.sign_in.clients import allowed_host

POLL = 0.2  # seconds between looks at how it stands


def begin_at_agent(session: Session, request: SignInRequest) -> AgentAttempt | None:
    """The sign-in, begun by the agent that has the encrypted file; None if this process must do it. Raises a
    KeyfobError.
    """
    begun = through_agent(session, lambda: running_agent.begin_sign_in(document_of(request)))
    if begun is None:
        return None
    record = session.engine.accounts.resolve(request.account) if request.account else None
    return AgentAttempt(begun, request, session.engine.browser, allowed_host(request, record))


class AgentAttempt:
    """What `Attempt` is in this process. `run` blocks; the rest may be called from any thread."""

    def __init__(
        self, begun: dict[str, Any], request: SignInRequest, browser: Browser, plain_host: str | None
    ) -> None:
        """`plain_host`: the host that the user allowed without TLS."""
        self._id = str(begun["id"])
        self._request = request
        self._browser = browser
        self._plain_host = plain_host
        self._browser_opened: bool | None = None
        self._not_granted: tuple[str, ...] = ()
        self._observers: list[Callable[[Progress], None]] = []
        self._look = threading.Event()
        self.progress = self._read(begun)

    def observe(self, observer: Callable[[Progress], None]) -> Callable[[], None]:
        """Call `observer` with how it stands whenever that changes; returns what ends this."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def run(self) -> AccountView:
        """Wait for the end. Raises the KeyfobError that it ended with."""
        self._tell(self.progress)
        while not self.progress.ended:
            self._open_browser()
            self._look.wait(POLL)
            self._look.clear()
            self._show(_asked(lambda: running_agent.sign_in(self._id)))
        if self.progress.error is not None:
            raise self.progress.error
        if self.progress.account is None:
            raise SignInEnded("The sign-in was cancelled")
        return replace(self.progress.account, narrower_scopes=self._not_granted)

    def cancel(self) -> bool:
        """Whether it could still be cancelled."""
        self._show(_asked(lambda: running_agent.cancel_sign_in(self._id)))
        self._look.set()
        return self.progress.stage == "cancelled"

    def paste(self, text: str) -> None:
        """Hand in the address of the browser's last page. Raises a KeyfobError."""
        self._show(_asked(lambda: running_agent.paste(self._id, text)))
        self._look.set()

    def _open_browser(self) -> None:
        """The agent has no screen, or another one."""
        url = self.progress.url
        if url is None or self.progress.user_code or not self._request.open_browser:
            return
        if self._browser_opened is not None:
            return
        try:
            self._browser(url.reveal(), self._plain_host)
            self._browser_opened = True
        except SettingWrong as error:
            if error.code != "browser_failed":
                self.cancel()
                raise
            self._browser_opened = False
        self._tell(replace(self.progress, browser_opened=self._browser_opened))

    def _show(self, document: dict[str, Any]) -> None:
        progress = self._read(document)
        if progress != self.progress:
            self._tell(progress)

    def _tell(self, progress: Progress) -> None:
        self.progress = progress
        for observer in list(self._observers):
            observer(progress)

    def _read(self, row: dict[str, Any]) -> Progress:
        """Raises Fault for an agent of another version."""
        self._not_granted = tuple(row.get("not_granted", ()))
        url, account, error = row["url"], row["account"], row["error"]
        failure = error_of(error) if error else None
        if failure is not None and not isinstance(failure, KeyfobError):
            raise Fault("The agent is newer than this keyfob", code="agent_too_new")
        return Progress(
            stage=row["stage"],
            provider=row["provider"],
            provider_title=row["provider_title"],
            method=row["method"],
            url=Secret(url) if url else None,
            redirect_uri=row["redirect_uri"],
            browser_opened=self._browser_opened,
            user_code=row["user_code"],
            verification_uri=row["verification_uri"],
            verification_uri_complete=row["verification_uri_complete"],
            deadline=from_rfc3339(row["expires_at"]),
            paste=row["paste"],
            account=view_of(account) if account else None,
            error=failure,
        )


def _asked(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return ask()
    except AgentGoneError:
        raise SignInEnded("The agent stopped during the sign-in", code="start_again") from None


def document_of(request: SignInRequest) -> dict[str, Any]:
    """The request as `POST /v1/sign-ins` takes it."""
    secrets = {
        name: secret.reveal()
        for name, secret in (
            ("api_key", request.api_key),
            ("password", request.password),
            ("client_secret", request.client_secret),
        )
        if secret is not None
    }
    return {
        **secrets,
        "provider": request.provider,
        "method": request.method,
        "account": request.account,
        "label": request.label,
        "access": None if request.access is None else list(request.access),
        "scopes": list(request.scopes),
        "only_scopes": list(request.only_scopes),
        "inputs": dict(request.inputs),
        "client_id": request.client_id,
        "timeout": request.timeout,
        "open_browser": False,
        "switch_method": request.switch_method,
        "allow_http": request.allow_http,
    }
