"""Giving back what a failed sign-in received: its grant is revoked, and the client that was registered for it
removed.
"""

from __future__ import annotations

from keyfob.core.account import Account, Connected, Pin, Record
from keyfob.service.accounts.revocations import Revocations
from keyfob.service.sign_in.account_entries import AccountEntries
from keyfob.service.sign_in.prepared import PreparedSignIn


class GiveBack:
    """Blocking and thread-safe. Raises nothing: a failure here must not hide why the sign-in failed."""

    def __init__(self, revocations: Revocations, entries: AccountEntries) -> None:
        self._revocations = revocations
        self._entries = entries

    def give_back(self, ready: PreparedSignIn, *, revoke: bool) -> None:
        """For a grant that was received and is not kept: another user's, a cancelled dialog's, one that the
        keychain refused. With `revoke` False it is only forgotten, as if the ID token did not hold.
        """
        attempt = ready.attempt
        received = attempt.received
        if received is not None and revoke:
            context = received.context
            pin = Pin(context.server, context.client.client_id, context.client.auth, inputs=context.inputs)
            account = Account(ready.account_key, ready.provider.id, "", ready.method, "", pin)
            self._revocations.give_back(
                Record(account, Connected()), received.grant, context.client, received.secrets.key_id
            )
        if attempt.registered is not None and revoke:
            self._revocations.unregister(ready.provider.id, *attempt.registered)
        if ready.record is None:
            self._entries.forget(ready.account_key)
