"""Credentials for `keyfob.Auth` in a process that has the engine: the window, and commands without an agent.

Other programs ask the agent's socket. Keyfob's own features need not: nothing leaves the process, so no
consent is asked for, and terms that forbid sharing a token do not matter.
"""

from __future__ import annotations

from typing import Any, NoReturn

from keyfob.core.errors import Usage
from keyfob.core.secret import Secret
from keyfob.service.accounts.accounts import Accounts
from keyfob.service.accounts.signer import Signer, SignRequest


class OwnSource:
    """For `keyfob.client.tokens.ask`. Blocks; thread-safe."""

    def __init__(self, accounts: Accounts, signer: Signer) -> None:
        self._accounts = accounts
        self._signer = signer

    def accounts(self) -> list[dict[str, Any]]:
        """As `keyfob accounts --json` shows them."""
        return [view.to_json() for view in self._accounts.views()]

    def lease(self, *_: object) -> NoReturn:
        """Raises Usage: a token leaves the engine on a signed request alone."""
        raise Usage("Requests are signed one by one")

    def sign(
        self, account: str, method: str, url: str, nonce: str | None, rejected: str | None
    ) -> dict[str, Any]:
        """As `keyfob sign` answers."""
        wanted = SignRequest(method, url, nonce, Secret(rejected) if rejected else None)
        return self._signer.sign(account, wanted, for_tool=False).to_json()
