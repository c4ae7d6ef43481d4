"""Every way Keyfob can fail, each with a code and an advice.

    KeyfobError
    ├── Fault               exit 1  a bug in Keyfob
    ├── Usage               exit 2  the request itself makes no sense
    ├── SignInNeeded        exit 3  the grant has ended, or the account is disconnected
    ├── KeychainError       exit 4  the keychain is locked, absent, slow or refused
    ├── Transient           exit 5  may pass: network, provider busy or down, someone else holds the lock
    ├── SignInEnded         exit 6  declined, cancelled or timed out while signing in
    ├── NotFound            exit 7  no such account or provider
    ├── SettingWrong        exit 8  port taken, client refused, preset faulty, terms forbid it
    └── PeerFault           exit 9  the peer broke the protocol

The class says how the caller should treat the error. The `code` says which of the class's cases it is, and
`core.error_codes` gives each code's advice. What to do, in words, belongs to the faces:
`desktop.shared.remedies` for the window and `agent.remedies` for terminals and the socket have one sentence
for each code. Messages never contain a secret and never text from a peer that has not been through
`core.text.plain`.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import ClassVar, Final

from keyfob.core.error_codes import CODES, Advice, ErrorCode
from keyfob.core.facts import Facts, Remedies, filled

_NO_REMEDIES: Final[Remedies] = MappingProxyType({})


class KeyfobError(Exception):
    """A failure of Keyfob or of what it works with.

    `message` says what happened, in one plain sentence without a full stop. What to do follows from `code`,
    and `facts` are what that sentence may name. `remedy` is the sentence itself, if a face made it already:
    the agent for its clients, a command for its own case. `detail` is for a report and never secret.
    `retry_after` is the wait that the provider asked for. `until` ends the message: a moment that each face
    shows in its own time zone.
    """

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[ErrorCode] = "internal"

    def __init__(
        self,
        message: str,
        *,
        code: ErrorCode | None = None,
        facts: Facts | None = None,
        remedy: str | None = None,
        detail: str = "",
        retry_after: timedelta | None = None,
        until: datetime | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code: ErrorCode = code or self.default_code
        self.facts: Facts = facts or {}
        self.remedy = remedy
        self.detail = detail
        self.retry_after = retry_after
        self.until = until

    def __str__(self) -> str:
        """What happened, then what to do if a face has said it: for programs that print the error."""
        return f"{self.full_message().rstrip('.')}. {self.remedy}" if self.remedy else self.full_message()

    @property
    def advice(self) -> Advice:
        """What the user should do: it follows from the code."""
        return CODES[self.code]

    def full_message(self, zone: tzinfo | None = None) -> str:
        """What happened, with `until`. A time is in `zone`, by default the system's, with its day if that is
        another.
        """
        if self.until is None:
            return self.message
        local = self.until.astimezone(zone)
        far = (
            self.retry_after is not None
            and (self.until - self.retry_after).astimezone(zone).date() != local.date()
        )
        day = f"{local.day} {local:%B} " if far else ""
        return f"{self.message.rstrip('.')} until {day}{local:%H:%M:%S}"

    def remedy_in(self, remedies: Remedies) -> str:
        """What to do, as `remedies`, a face's table, says it."""
        return self.remedy or filled(remedies.get(self.code, ""), self.facts)

    def sentence(self, remedies: Remedies = _NO_REMEDIES, zone: tzinfo | None = None) -> str:
        """What happened, then what to do."""
        return f"{self.full_message(zone).rstrip('.')}. {self.remedy_in(remedies)}".rstrip()


class Fault(KeyfobError):
    """Something is wrong with Keyfob itself or with its own files."""

    exit_code = 1
    default_code = "internal"


class Usage(KeyfobError):
    """The request makes no sense as given: a wrong argument or a wrong combination."""

    exit_code = 2
    default_code = "usage"


class SignInNeeded(KeyfobError):
    """The grant has ended, so the user has to sign in again."""

    exit_code = 3
    default_code = "grant_ended"


class KeychainError(KeyfobError):
    """The operating system's keychain is locked, missing, slow or refuses."""

    exit_code = 4
    default_code = "keychain_refused"


class Transient(KeyfobError):
    """May pass. `sent` is False only if the request certainly never left this machine, and `answered` is
    True if a complete answer came back: between the two, a rotated token may have been lost on the way.
    """

    exit_code = 5
    default_code = "provider_unavailable"

    def __init__(
        self,
        message: str,
        *,
        code: ErrorCode | None = None,
        facts: Facts | None = None,
        remedy: str | None = None,
        detail: str = "",
        retry_after: timedelta | None = None,
        until: datetime | None = None,
        sent: bool = True,
        answered: bool = False,
    ) -> None:
        super().__init__(
            message,
            code=code,
            facts=facts,
            remedy=remedy,
            detail=detail,
            retry_after=retry_after,
            until=until,
        )
        self.sent = sent
        self.answered = answered


class SignInEnded(KeyfobError):
    """A sign-in was declined, was cancelled or timed out."""

    exit_code = 6
    default_code = "cancelled"


class NotFound(KeyfobError):
    """There is no such account, provider or program."""

    exit_code = 7
    default_code = "account_not_found"


class SettingWrong(KeyfobError):
    """A setting, a preset or a permission is in the way. The remedy says what to change."""

    exit_code = 8
    default_code = "setting_faulty"


class PeerFault(KeyfobError):
    """A server broke the protocol. Nothing that it sent was used."""

    exit_code = 9
    default_code = "protocol_violation"
