"""What the page of a Nexus Mods account shows, as frozen values: words and numbers. Widgets receive these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from keyfob.desktop.shared.avatar import Face

TabName = Literal["mods", "trending", "downloads", "account"]
ListName = Literal["trending", "latest_added", "latest_updated"]

TABS: tuple[tuple[TabName, str], ...] = (
    ("mods", "Mods"),
    ("trending", "Trending"),
    ("downloads", "Downloads"),
    ("account", "Account"),
)
LISTS: tuple[tuple[ListName, str], ...] = (
    ("trending", "Trending"),
    ("latest_added", "Newest"),
    ("latest_updated", "Recently updated"),
)


@dataclass(frozen=True, slots=True)
class Press:
    """A button that a row or card has."""

    action: str
    text: str
    drawing: str = ""  # an icon beside the text; in a card, in place of it
    shown: bool = True  # False: only in the row's menu
    small: str = ""  # an icon in place of the text, in a narrow row


@dataclass(frozen=True, slots=True)
class Mark:
    """A state in a word, with a drawing so that it is clear without its colour."""

    text: str
    tone: str
    drawing: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is."""

    share: float | None  # 0 … 1; None while the size is not known
    left: str
    right: str
    tone: str = "accent"


@dataclass(frozen=True, slots=True)
class Row:
    """A mod or a download, as a row of a list or as a card."""

    key: str
    title: str
    line: str
    accessible: str
    note: str = ""  # beside the title
    picture: str = ""  # its address; empty: a neutral tile
    before: str = ""  # the installed version
    after: str = ""  # the newest one, if it is another
    mark: Mark | None = None
    progress: Progress | None = None
    presses: tuple[Press, ...] = ()
    tip: str = ""  # what happened and what to do, for the tooltip


@dataclass(frozen=True, slots=True)
class ModDetails:
    """A mod in a dialog of its own."""

    key: str
    title: str
    line: str
    summary: str
    picture: str
    facts: tuple[tuple[str, str], ...]
    presses: tuple[Press, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """How many requests are left until a limit begins again."""

    text: str
    under: str
    share: float  # 0 … 1
    tone: str


@dataclass(frozen=True, slots=True)
class Head:
    """Whose account it is."""

    title: str
    subtitle: str
    face: Face
    badge: str = ""  # Premium, Supporter or Free; empty while it is not known
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """What is wrong, or what is to be done first, with at most one button."""

    tone: Literal["warn", "info"]
    title: str
    text: str
    button: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class Empty:
    """What stands in place of a list that has no rows."""

    title: str
    text: str
    button: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class Games:
    """The games to choose from, as (domain, name), and the one that is shown."""

    all: tuple[tuple[str, str], ...] = ()
    chosen: str = ""


@dataclass(frozen=True, slots=True)
class ModsPart:
    """The tab Mods."""

    games: Games = Games()
    rows: tuple[Row, ...] = ()
    search: str = ""
    waiting: bool = False  # for the first answer: grey rows
    note: Note | None = None
    empty: Empty | None = None
    summary: str = ""  # "3 updates"
    update_all: str = ""  # the primary button's text; empty: none
    can_add: bool = True


@dataclass(frozen=True, slots=True)
class TrendingPart:
    """The tab Trending."""

    games: Games = Games()
    list: ListName = "trending"
    adult: bool = False  # adult mods are shown
    loaded: str = ""  # "Loaded at 14:58"
    cards: tuple[Row, ...] = ()
    waiting: bool = False
    note: Note | None = None
    empty: Empty | None = None
    hidden: str = ""  # how many adult mods are not shown


@dataclass(frozen=True, slots=True)
class Links:
    """The switch for nxm links."""

    on: bool = False
    usable: bool = True
    text: str = ""  # who opens them now
    program: str = ""  # another program that opens them now


@dataclass(frozen=True, slots=True)
class DownloadsPart:
    """The tab Downloads."""

    running: tuple[Row, ...] = ()
    earlier: tuple[Row, ...] = ()
    note: Note | None = None
    empty: Empty | None = None
    links: Links = Links()


@dataclass(frozen=True, slots=True)
class NexusPage:
    """The whole page but for the tab Account, which is the account's own page."""

    head: Head
    mods: ModsPart = ModsPart()
    trending: TrendingPart = TrendingPart()
    downloads: DownloadsPart = DownloadsPart()
    counts: tuple[tuple[TabName, int], ...] = ()
    folder: str = ""  # "Downloads go to Games/Mods."
    leads: bool = True  # no banner above has the window's primary button
