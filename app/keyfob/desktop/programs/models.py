"""What the page Programs and its dialog show, as frozen values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from keyfob.desktop.shared.avatar import Face

GatewayAction = Literal["", "again", "port"]


@dataclass(frozen=True, slots=True)
class GatewayCard:
    """The switch, and where programs reach the gateway."""

    on: bool  # what the switch shows
    title: str
    text: str
    tone: str = ""  # warn if it should run and does not
    address: str = ""  # empty while nothing listens there for these programs
    button: str = ""
    action: GatewayAction = ""
    usable: bool = True  # the switch


@dataclass(frozen=True, slots=True)
class ProgramRow:
    """One program with access to one account, in words."""

    key: str  # the grant's id
    name: str
    letter: str
    color: str
    used: str
    account: str
    provider: str
    face: Face | None  # None: the account is not there any more
    account_note: str  # why its requests fail now; empty if they do not
    what: str
    limit: str  # which paths
    often: str  # how often at most; empty if there is no limit
    refused: str  # how many requests were refused today; empty if none were
    until: str
    left: str
    span: str  # both, in one line
    soon: bool  # it ends within a day
    bars: tuple[int, ...]  # requests in each of the last hours
    requests: str
    facts: tuple[tuple[str, str], ...]  # for the dialog with its details
    ends_at: float = math.inf  # seconds since 1970, to sort by
    ended: bool = False

    @property
    def spoken(self) -> str:
        """What assistive technology reads of the row besides the name."""
        parts = (
            f"{self.account}, {self.provider}" if self.provider else self.account, self.account_note,
            self.what, self.limit, self.often, self.refused, self.span,
             f"{self.requests} in 24 hours", self.used,
        )  # fmt: skip
        return ". ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class ProgramsPage:
    """The whole page."""

    gateway: GatewayCard
    rows: tuple[ProgramRow, ...] = ()
    ended: tuple[ProgramRow, ...] = ()
    dimmed: bool = False  # the rows, as nothing serves them
    loading: bool = False
    problem: str = ""  # why the programs cannot be listed
    accounts: bool = True  # there is one to give access to
    can_give: bool = True


@dataclass(frozen=True, slots=True)
class AccountChoice:
    """An account in the dialog."""

    id: str  # provider/label
    name: str
    provider: str
    face: Face
    refusal: str  # why other programs may not use it; empty if they may
    note: str  # what to know before it is chosen
    access: str  # what the account itself may do, in words; empty if that is not known
    path: str  # an example of a path of its API


@dataclass(frozen=True, slots=True)
class Draft:
    """What the dialog begins with."""

    accounts: tuple[AccountChoice, ...]
    name: str = ""
    account: str = ""
    reads: bool = True  # False: it may write too
    path: str = ""
    per_hour: int | None = None  # kept from before; the form has no field for it
    note: str = ""  # what was otherwise before
    turns_on: bool = False  # the gateway, which is off


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person has entered. `until` is a day, ISO 8601, in the computer's time zone; None: no end."""

    name: str
    account: str
    reads: bool
    path: str
    until: str | None
    per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """The result, without the key."""

    key: str  # the grant's id
    name: str
    account: str
    address: str
    facts: tuple[tuple[str, str, bool], ...]  # name, value, whether it is code
    variables: tuple[str, str]  # the names of the environment variables for address and key


@dataclass(frozen=True, slots=True)
class Live:
    """Whether the program has called yet."""

    title: str
    text: str
    tone: str  # "", ok or warn
    drawing: str
