"""An account's grant in the vault: two slots, so that the only good copy is never overwritten.

A new grant goes into the slot without the newest one, is read back, and counts only then. The reader takes
the newest generation with a valid checksum. So a torn write, a crash between keyring's delete and add, or a
truncated entry costs at most the copy that was being written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from keyfob.core.errors import KeychainError
from keyfob.core.grant import Grant, seal, unseal
from keyfob.core.secret import Secret

if TYPE_CHECKING:  # a command that only reads a token pays for what it imports
    from keyfob.ports import Vault

Slot = Literal["a", "b"]
SLOTS: tuple[Slot, Slot] = ("a", "b")
ROLE_KEYS = "roles"  # the entry with keys that the account's token gave (AWS)


def lock_name(key: str) -> str:
    """The lock for writing an account's slots."""
    return f"account-{key}"


@dataclass(frozen=True, slots=True)
class Stored:
    """A grant and the name of the vault entry that it was read from."""

    grant: Grant
    slot: Slot


class GrantStore:
    """Thread-safe as far as the vault is; callers that write hold the account's lock."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def close(self) -> None:
        """Give back what the vault holds open; the next call opens it again."""
        closing = getattr(self._vault, "close", None)
        if closing is not None:
            closing()

    def newest(self, key: str) -> Stored | None:
        """The newest whole grant, None if there is none. Raises KeychainError, `entry_damaged` if there
        are entries and none of them is whole.
        """
        found: list[Stored] = []
        damaged = False
        for slot in SLOTS:
            try:
                entry = self._vault.load(f"{key}/{slot}")
                if entry is not None:
                    found.append(Stored(unseal(entry), slot))
            except KeychainError as error:
                if error.code != "entry_damaged":
                    raise
                damaged = True
            except (ValueError, KeyError, TypeError, AttributeError):
                # The checksum is right but the content is unknown: treated as damaged.
                damaged = True
        if not found:
            if damaged:
                raise KeychainError(
                    "The keychain's entries of this account are damaged", code="entry_damaged"
                )
            return None
        return max(found, key=lambda stored: stored.grant.generation)

    def save(self, key: str, grant: Grant, *, beside: Slot | None = None) -> Slot:
        """Into the slot that does not hold the newest grant; returns that slot once the vault has read it
        back.

        `beside` names the slot to leave alone, where the caller knows it: nothing is then read first, which
        keeps the moment short in which a renewed grant is only in memory. Raises KeychainError; the other
        slot is untouched then.
        """
        if beside is None:
            held = self.newest_or_none(key)
            beside = held.slot if held else SLOTS[1]
        slot = SLOTS[0] if beside == SLOTS[1] else SLOTS[1]
        self._vault.save(f"{key}/{slot}", seal(grant))
        return slot

    def check_writable(self, key: str) -> None:
        """Proves that the vault can be written now, before a refresh token is used up. Raises
        KeychainError.
        """
        self._vault.save(f"{key}/probe", Secret("writable"))

    def newest_or_none(self, key: str) -> Stored | None:
        """The newest grant, None also if the entries are damaged: for ending an account, where either is
        over.
        """
        try:
            return self.newest(key)
        except KeychainError as error:
            if error.code != "entry_damaged":
                raise
            return None

    def describe(self, key: str, description: str) -> None:
        """Keep what it takes to list the account again: one line of ASCII with no secret in it. Raises
        KeychainError.
        """
        self._vault.save(f"{key}/account", Secret(description))

    def description(self, key: str) -> str | None:
        """Raises KeychainError."""
        found = self._vault.load(f"{key}/account")
        return None if found is None else found.reveal()

    def forget_all(self, key: str) -> None:
        """Deletes everything that was kept for this account, its client's secrets and its description too."""
        self.forget(key)
        for name in ("client", "dpop", "account"):
            self._vault.delete(f"{key}/{name}")

    def forget_client(self, key: str) -> None:
        """Deletes the secret of the account's client: of a service account, it gets new tokens by itself.
        Raises KeychainError.
        """
        self._vault.delete(f"{key}/client")

    def forget(self, key: str) -> None:
        """Deletes both slots, the probe and what the token gave. Raises KeychainError; what was deleted stays
        deleted.
        """
        for slot in (*SLOTS, "probe", ROLE_KEYS):
            self._vault.delete(f"{key}/{slot}")
