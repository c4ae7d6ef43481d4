"""What the user may ask of the agent itself: how it stands, that it stops, and that it gives out nothing for
a while.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from keyfob import __version__
from keyfob.core.errors import Transient, Usage
from keyfob.core.secret import Secret
from keyfob.core.times import to_rfc3339
from keyfob.core.words import VaultChoice
from keyfob.ports import VaultLock

# Renewals that have begun are saved before the vault closes. One takes 30 seconds at most.
SETTLED_WITHIN = timedelta(seconds=40)


@dataclass(frozen=True)
class Control:
    """Thread-safe. `end` asks this process to end and returns at once; None in the app, which only its user
    quits. `settled` waits for the renewals in progress, and says whether they ended. `by_system`: systemd or
    launchd listens, and starts the agent again. `become_new` has this process become the version that is
    installed now, and returns at once; None in the app.
    """

    home_id: str
    vault: VaultLock
    vault_choice: VaultChoice
    started_at: datetime
    settled: Callable[[timedelta], bool]
    end: Callable[[], None] | None = None
    by_system: bool = False
    become_new: Callable[[], None] | None = None

    def status(self) -> dict[str, Any]:
        """The answer to `GET /v1/agent`."""
        return {
            "agent": "keyfob",
            "home": self.home_id,
            "version": __version__,
            "pid": os.getpid(),
            "started_at": to_rfc3339(self.started_at),
            "window": self.end is None,
            "started_by_system": self.by_system,
            "vault": self.vault_choice,
            "vault_open": self.vault.is_open,
            "locked": self.vault.locked,
        }

    def stop(self) -> None:
        """Requests and renewals in progress are finished first. Raises Usage in the app."""
        if self.end is None:
            raise Usage("The app is running and answers the tools", remedy="Quit Keyfob in its window.")
        self.end()

    def restart(self) -> None:
        """Become the version that is installed now. Requests and renewals in progress are finished first, and
        clients wait meanwhile. Raises Usage in the app, and if the agent cannot do it by itself.
        """
        if self.become_new is None:
            raise Usage("The app is running and answers the tools", remedy="Quit Keyfob and open it again.")
        self.become_new()

    def lock(self) -> None:
        """Give out no token and use none, until `unlock`. What a renewal in progress receives is saved first.
        Raises Transient `still_renewing` if that takes too long: nothing is given out then, and the vault
        stays open for it. Idempotent.
        """
        self.vault.refuse()
        if not self.settled(SETTLED_WITHIN):
            raise Transient(
                "The agent gives out no tokens, but a renewed token is not saved yet", code="still_renewing"
            )
        self.vault.lock()

    def unlock(self, passphrase: Secret | None) -> None:
        """Work again. Raises KeychainError `passphrase_needed` and `passphrase_wrong` for an encrypted
        file.
        """
        self.vault.open(passphrase)
