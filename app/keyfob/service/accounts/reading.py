"""What an account has now: its row in the store, its grant in the vault, and whether that grant is good
enough.

The keeper and its judge read through this. It saves at once what it finds out (a grant that is missing, or
newer than the row says).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from keyfob.core.account import Disconnected, NeedsSignIn, Record, still_tried
from keyfob.core.error_codes import ErrorCode
from keyfob.core.errors import KeychainError, NotFound, SignInNeeded
from keyfob.core.renewal import serves, waits
from keyfob.core.secret import Secret
from keyfob.ports import AccountRecords, Clock
from keyfob.service.accounts.account_state import AccountState
from keyfob.service.accounts.grant_store import GrantStore, Stored
from keyfob.service.accounts.schedule import Schedule, backing_off
from keyfob.service.runner import pause

# After `invalid_grant`: another program without our lock (a second machine's sync, a restored home) may have
# won and be about to save. Between 1 and 2 s covers a keychain's slowest write seen.
SECOND_LOOK = timedelta(seconds=1.5)


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """What a caller of `Keeper.grant` asks for; see there."""

    min_life: timedelta | None = None
    rejected: Secret | None = None
    force: bool = False

    def refuses(self, stored: Stored) -> bool:
        """Whether this very access token was refused by the API that the caller sent it to."""
        return self.rejected is not None and self.rejected == stored.grant.access


class GrantReader:
    """Blocking and thread-safe. Sends nothing, and never writes the vault."""

    def __init__(
        self, grants: GrantStore, store: AccountRecords, state: AccountState, schedule: Schedule, now: Clock
    ) -> None:
        self._grants = grants
        self._store = store
        self._state = state
        self._schedule = schedule
        self._now = now

    def record(self, key: str, *, force: bool) -> Record:
        """The account's row. Raises NotFound, SignInNeeded if there is nothing that a renewal could do."""
        record = self.listed(key)
        match record.status:
            case Disconnected():
                raise SignInNeeded(
                    f"{record.account.id} is disconnected",
                    code="disconnected",
                    facts={"account": record.account.id},
                )
            case NeedsSignIn() if still_tried(record.status) and (
                force or not waits(record.retry_at, self._now())
            ):
                return record
            case NeedsSignIn(error=error):
                return self._mended(record, error.code, error.message)
        return record

    def listed(self, key: str) -> Record:
        """The account's row, whatever its status. Raises NotFound."""
        record = self._store.get(key)
        if record is None:
            raise NotFound("This account does not exist")
        return record

    def _mended(self, record: Record, code: ErrorCode, message: str) -> Record:
        """An account that needs signing in, unless the vault holds a newer grant than the one that ended."""
        try:
            stored = self._grants.newest(record.account.key)
        except KeychainError:
            stored = None  # a locked keychain changes nothing about a grant that has ended
        newer = stored is not None and (
            stored.grant.generation > record.generation
            or (code == "grant_missing" and record.obtained_at is not None)
            # Only a clock that was ahead for a while said so.
            or (code == "token_expired" and not stored.grant.expired(self._now()))
        )
        if stored is None or not newer:
            raise SignInNeeded(message, code=code, facts={"account": record.account.id})
        return self._state.apply_grant(record.account.key, stored.grant)

    def newest(self, record: Record) -> Stored:
        """The account's newest grant. Raises KeychainError, SignInNeeded `grant_missing`; the account then
        needs its person.
        """
        try:
            stored = self._grants.newest(record.account.key)
        except KeychainError as error:
            if error.code != "entry_damaged":
                raise
            self._state.mark_ended(record, SignInNeeded(error.message, code="grant_missing"))
            raise
        if stored is None:
            missing = SignInNeeded(f"The keychain has no token of {record.account.id}", code="grant_missing")
            self._state.mark_ended(record, missing)
            raise missing
        return stored

    def newest_later(self, record: Record) -> Stored:
        """As `newest`, after the wait for a program that may be about to save."""
        pause(SECOND_LOOK, None)
        return self.newest(record)

    def serves(self, stored: Stored, request: GrantRequest) -> bool:
        """Whether the access token may be returned as it is."""
        return not request.refuses(stored) and serves(stored.grant, self._now(), request.min_life)

    def waiting(self, record: Record) -> bool:
        """Whether the account waits for its next try, since its last renewal failed."""
        return backing_off(record, self._now())

    def still_due(self, key: str) -> bool:
        """Whether the account is due, read again. Raises what `record` raises."""
        now = self._now()
        when = self._schedule.due(self.record(key, force=True), now)
        return when is not None and when <= now
