"""Addresses that users copy or click: a mod's page, and the `nxm://` link of the site's button.

A link comes from a browser, so any page can make one: it is read by a strict pattern, and its key is a
`Secret`. Nothing here sends anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from keyfob.core.errors import Transient, Usage
from keyfob.core.secret import Secret
from keyfob.core.times import from_epoch

SITE = "https://www.nexusmods.com"
LINK_MOST = 1024  # characters; links in use have about 150
DOMAIN = re.compile(r"[a-z0-9]{1,64}")
_LINK = re.compile(
    r"nxm://(?P<domain>[a-z0-9]{1,64})/mods/(?P<mod>[0-9]{1,10})/files/(?P<file>[0-9]{1,10})/?(?:\?(?P<query>[!-~]*))?",
    re.IGNORECASE,  # old links have `nxm://FalloutNV/…`
)
_OTHER_LINK = re.compile(
    r"nxm://(?:[a-z0-9]{1,64}/collections/|oauth|premium|gog-auth|protocol-test)", re.IGNORECASE
)
_KEY = re.compile(r"[A-Za-z0-9_=.+/-]{1,256}")
_DIGITS = re.compile(r"[0-9]{1,12}")
_PAGE_PATH = re.compile(
    r"/(?:games/)?(?P<domain>[a-z0-9]{1,64})/mods/(?P<mod>[0-9]{1,10})(?:/.*)?", re.IGNORECASE
)
_SHORT = re.compile(r"(?P<domain>[a-z0-9]{1,64})/(?P<mod>[0-9]{1,10})", re.IGNORECASE)


class ModAddress(NamedTuple):
    """A mod's page: the game's domain and the mod's number. `file_id` if the address names a file."""

    game: str
    mod_id: int
    file_id: int | None = None


@dataclass(frozen=True, slots=True)
class NxmLink:
    """A link of "Mod Manager Download". `key` and `expires` come together or not at all: a link without them
    is for premium members. `user_id`: whose link it is.
    """

    game: str
    mod_id: int
    file_id: int
    key: Secret | None = None
    expires: datetime | None = None
    user_id: int | None = None

    def refuse_expired(self, now: datetime) -> None:
        """Raises Transient `nxm_link_expired` if its time is over."""
        if self.expires is not None and self.expires <= now:
            page = file_page(self.game, self.mod_id, self.file_id)
            raise Transient("The download link has expired", code="nxm_link_expired", facts={"page": page})


def mod_page(game: str, mod_id: int) -> str:
    """The address of a mod's page."""
    return f"{SITE}/{game}/mods/{mod_id}"


def file_page(game: str, mod_id: int, file_id: int) -> str:
    """The address of the page with the button for mod managers, for one file."""
    return f"{mod_page(game, mod_id)}?tab=files&file_id={file_id}&nmm=1"


def mod_address(text: str) -> ModAddress:
    """The mod that an address of the site, or the short form `GAME/ID`, names. Raises Usage
    `nexus_address_wrong`.
    """
    text = text.strip()
    short = _SHORT.fullmatch(text)
    if short is not None:
        return ModAddress(short["domain"].lower(), int(short["mod"]))
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host, path = (parts.hostname or ""), parts.path
    except ValueError:
        host, path = "", ""
    page = _PAGE_PATH.fullmatch(path)
    if page is None or host not in ("nexusmods.com", "www.nexusmods.com", "next.nexusmods.com"):
        raise Usage("This is not the address of a mod", code="nexus_address_wrong")
    named = dict(parse_qsl(parts.query)).get("file_id", "")
    file_id = int(named) if _DIGITS.fullmatch(named) else None
    return ModAddress(page["domain"].lower(), int(page["mod"]), file_id)


def nxm_link(text: str) -> NxmLink:
    """The download that a link names. Raises Usage `nxm_link_wrong`, with nothing of the link in the
    message.
    """
    text = text.strip()
    found = _LINK.fullmatch(text) if len(text) <= LINK_MOST else None
    if found is None:
        if len(text) <= LINK_MOST and _OTHER_LINK.match(text):
            raise _wrong("This link is not for the download of a file")
        raise _wrong("This is not a download link of Nexus Mods")
    query = _query(found["query"] or "")
    key, expires, user = query.get("key"), query.get("expires"), query.get("user_id")
    if (key is None) != (expires is None):
        raise _wrong("The link is incomplete")
    if any(value is not None and not _DIGITS.fullmatch(value) for value in (expires, user)):
        raise _wrong("The link is damaged")
    if key is not None and not _KEY.fullmatch(key):
        raise _wrong("The link is damaged")
    return NxmLink(
        found["domain"].lower(),
        int(found["mod"]),
        int(found["file"]),
        Secret(key) if key is not None else None,
        _moment(expires),
        int(user) if user is not None else None,
    )


def _query(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=10)
    except ValueError:
        raise _wrong("The link is damaged") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _wrong("The link is damaged")
    return found


def _moment(expires: str | None) -> datetime | None:
    if expires is None:
        return None
    try:
        return from_epoch(int(expires))
    except (OverflowError, OSError, ValueError):
        return datetime.max.replace(tzinfo=UTC)


def _wrong(message: str) -> Usage:
    return Usage(message, code="nxm_link_wrong")
