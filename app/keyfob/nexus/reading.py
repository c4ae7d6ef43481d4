"""Reads the API's objects into `models`. What is missing or of another type becomes what is not known: the
API marks nearly every field of a mod as optional, and free text may be anything.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyfob.core.text import plain
from keyfob.core.times import from_epoch
from keyfob.core.untyped import Json
from keyfob.nexus.addresses import DOMAIN, mod_page
from keyfob.nexus.limits import moment
from keyfob.nexus.models import Game, Mod, Profile
from keyfob.updates.versions import normalised

NAME_MOST = 120
SUMMARY_MOST = 400
VERSION_MOST = 50  # characters; the site's own limit for new files
ADDRESS_MOST = 1024
MAIN, UPDATE, OPTIONAL, OLD_VERSION, MISCELLANEOUS, REMOVED, ARCHIVED = range(1, 8)
ACTIVE = (MAIN, UPDATE, OPTIONAL, MISCELLANEOUS)
_TAG = re.compile(r"<[^<>]{0,200}>|\[/?[a-z]{1,10}(?:=[^\[\]]{0,200})?\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ModFile:
    """A file of a mod. `category` as the API numbers them; `size` in bytes, None if it is not known
    exactly.
    """

    file_id: int
    name: str
    version: str
    category: int
    size: int | None
    file_name: str
    uploaded: int  # seconds since the epoch

    @property
    def active(self) -> bool:
        """Whether the author offers it now: neither old, removed nor archived."""
        return self.category in ACTIVE

    def to_json(self) -> dict[str, Any]:
        """As `keyfob nexus files --json` shows it."""
        return {
            "file_id": self.file_id,
            "name": self.name,
            "version": self.version,
            "category": CATEGORY_WORDS.get(self.category, "other"),
            "size": self.size,
            "file_name": self.file_name,
        }


CATEGORY_WORDS: Mapping[int, str] = {
    MAIN: "main",
    UPDATE: "update",
    OPTIONAL: "optional",
    OLD_VERSION: "old",
    MISCELLANEOUS: "miscellaneous",
    REMOVED: "removed",
    ARCHIVED: "archived",
}


@dataclass(frozen=True, slots=True)
class ModFiles:
    """The files of a mod, and which file replaces which: old id, new id."""

    files: tuple[ModFile, ...]
    replaced: tuple[tuple[int, int], ...]


def objects(value: Json) -> Iterator[Mapping[str, Any]]:
    """The objects of a list; nothing for what is not a list."""
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, dict))


def number(value: Json) -> int | None:
    """A whole number that is not negative, also from a text of digits."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,20}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def text(value: Json, most: int = NAME_MOST) -> str:
    """A text on one line, without markup. Empty for anything else."""
    return plain(html.unescape(_TAG.sub(" ", value[: most * 8])), most) if isinstance(value, str) else ""


def address(value: Json) -> str | None:
    """An http or https address, for a picture. Who fetches it looks at its host."""
    if isinstance(value, str) and len(value) <= ADDRESS_MOST and re.match(r"https?://[!-~]+\Z", value):
        return value
    return None


def at(value: Json) -> datetime | None:
    """A time: seconds since the epoch, or a text."""
    seconds = number(value)
    if seconds is None:
        return moment(value) if isinstance(value, str) else None
    try:
        return from_epoch(seconds)
    except (OverflowError, OSError, ValueError):
        return None


def version(value: Json) -> str:
    """A version as it is compared and shown: `v1.2` is 1.2. Free text stays."""
    return plain(normalised(text(value, VERSION_MOST)), VERSION_MOST)


def profile(answer: Json) -> Profile | None:
    """Who `users/validate` says it is; None if it names nobody. The key that it echoes is left."""
    if not isinstance(answer, dict) or (member := number(answer.get("user_id"))) is None:
        return None
    premium = (answer.get("is_premium") or answer.get("is_premium?")) is True
    supporter = (answer.get("is_supporter") or answer.get("is_supporter?")) is True
    return Profile(
        name=text(answer.get("name")) or f"Member {member}",
        member_id=member,
        avatar=address(answer.get("profile_url")),
        membership="Premium" if premium else "Supporter" if supporter else "Free",
        is_premium=premium,
    )


def member(answer: Json) -> Profile | None:
    """A `user` of the v2 API; None if it is nobody."""
    if not isinstance(answer, dict) or (number_of := number(answer.get("memberId"))) is None:
        return None
    roles = answer.get("membershipRoles")
    named = {each for each in roles if isinstance(each, str)} if isinstance(roles, list) else set()
    premium = bool(named & {"premium", "lifetimepremium"})
    return Profile(
        name=text(answer.get("name")) or f"Member {number_of}",
        member_id=number_of,
        avatar=address(answer.get("avatar")),
        membership="Premium" if premium else "Supporter" if "supporter" in named else "Free",
        is_premium=premium,
    )


def game(answer: Mapping[str, Any]) -> Game | None:
    """A game of `games`; None without a domain."""
    domain = answer.get("domain_name")
    if not isinstance(domain, str) or not DOMAIN.fullmatch(domain):
        return None
    return Game(domain, text(answer.get("name")) or domain)


def mod(answer: Mapping[str, Any], domain: str, *, adult_pictures: bool) -> Mod | None:
    """A mod object of v1. `adult_pictures`: whether the picture of adult content may be named."""
    mod_id = number(answer.get("mod_id"))
    if mod_id is None:
        return None
    adult = answer.get("contains_adult_content") is True
    named = answer.get("domain_name")
    domain = named if isinstance(named, str) and DOMAIN.fullmatch(named) else domain
    endorsement = answer.get("endorsement")
    return Mod(
        game=domain,
        mod_id=mod_id,
        name=text(answer.get("name")) or f"Mod {mod_id}",
        author=text(answer.get("author")) or text(answer.get("uploaded_by")),
        summary=text(answer.get("summary"), SUMMARY_MOST),
        picture=address(answer.get("picture_url")) if adult_pictures or not adult else None,
        version=version(answer.get("version")),
        adult=adult,
        available=answer.get("available") is not False,
        status=text(answer.get("status"), 40) or "published",
        updated_at=at(answer.get("updated_timestamp")),
        endorsed=isinstance(endorsement, dict) and endorsement.get("endorse_status") == "Endorsed",
        page=mod_page(domain, mod_id),
        downloads=number(answer.get("mod_downloads")),
    )


def mod_node(node: Mapping[str, Any], *, adult_pictures: bool) -> Mod | None:
    """A mod of the v2 API. Its picture is the small one, and blurred for adult content."""
    place = node.get("game")
    domain = place.get("domainName") if isinstance(place, dict) else None
    mod_id = number(node.get("modId"))
    if mod_id is None or not isinstance(domain, str) or not DOMAIN.fullmatch(domain):
        return None
    adult, status = node.get("adultContent") is True, text(node.get("status"), 40) or "published"
    sharp = adult_pictures or not adult
    return Mod(
        game=domain,
        mod_id=mod_id,
        name=text(node.get("name")) or f"Mod {mod_id}",
        author=text(node.get("author")),
        summary=text(node.get("summary"), SUMMARY_MOST),
        picture=address(node.get("thumbnailUrl" if sharp else "thumbnailBlurredUrl")),
        version=version(node.get("version")),
        adult=adult,
        available=status == "published",
        status=status,
        updated_at=at(node.get("updatedAt")),
        endorsed=node.get("viewerEndorsed") is True,
        page=mod_page(domain, mod_id),
        downloads=number(node.get("downloads")),
    )


def mod_file(answer: Mapping[str, Any]) -> ModFile | None:
    """A file object; None without an id."""
    file_id = number(answer.get("file_id"))
    if file_id is None:
        return None
    return ModFile(
        file_id=file_id,
        name=text(answer.get("name")),
        version=version(answer.get("version")),
        category=number(answer.get("category_id")) or 0,
        size=number(answer.get("size_in_bytes")),
        file_name=text(answer.get("file_name"), 300),
        uploaded=number(answer.get("uploaded_timestamp")) or 0,
    )


def mod_files(answer: Json) -> ModFiles:
    """The answer of `files`."""
    answer = answer if isinstance(answer, dict) else {}
    pairs = [
        (number(each.get("old_file_id")), number(each.get("new_file_id")))
        for each in objects(answer.get("file_updates"))
    ]
    return ModFiles(
        tuple(found for each in objects(answer.get("files")) if (found := mod_file(each)) is not None),
        tuple((old, new) for old, new in pairs if old is not None and new is not None),
    )
