"""The calls of the API that Keyfob makes, with typed answers and what may be kept of them.

Kept: the list of games for a day; mods, files and lists for five minutes. `/user/…` is asked each time.
Raises ApiRefused and any other KeyfobError. Blocks; thread-safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from keyfob.core.errors import PeerFault
from keyfob.core.untyped import Json
from keyfob.nexus import reading
from keyfob.nexus.addresses import DOMAIN, NxmLink
from keyfob.nexus.api import Api, ApiRefused, not_found
from keyfob.nexus.cache import Cache
from keyfob.nexus.models import Game, Mod, Profile
from keyfob.nexus.reading import ModFile, ModFiles

DAY, FIVE_MINUTES = 86_400.0, 300.0  # seconds
GAMES = "games"  # the key of what is kept: the same list for every account
PAGE = 80  # mods a GraphQL query returns at most
MEMBER = "query ($id: Int!) { user(id: $id) { name avatar memberId membershipRoles } }"
MODS = """query ($ids: [CompositeDomainWithIdInput!]!, $count: Int) {
  legacyModsByDomain(ids: $ids, count: $count) {
    nodes {
      modId name summary version author updatedAt downloads adultContent status viewerEndorsed
      thumbnailUrl thumbnailBlurredUrl game { domainName }
    }
  }
}"""
List = Literal["trending", "latest_added", "latest_updated"]
Period = Literal["1d", "1w", "1m"]


def games_of(answer: Json) -> list[Game]:
    """The games of an answer, by name."""
    found = (reading.game(each) for each in reading.objects(answer))
    return sorted((each for each in found if each is not None), key=lambda each: each.name.casefold())


class Change(NamedTuple):
    """A mod whose files changed, and when: seconds since the epoch."""

    mod_id: int
    files_at: int


class Site:
    """What the account of `api` sees of the site."""

    def __init__(self, api: Api, cache: Cache) -> None:
        self.api = api
        self._cache = cache

    def _get(self, path: str, seconds: float, *, fresh: bool = False) -> Json:
        key = f"{self.api.base}{path} {self.api.account}"
        found = None if fresh else self._cache.get(key, seconds)
        if found is None:
            found = self.api.get(path)
            self._cache.put(key, found)
        return found

    def profile(self) -> Profile | None:
        """Who the account is, asked each time. None if the answer names nobody."""
        return reading.profile(self.api.get("/v1/users/validate"))

    def member(self, member_id: int) -> Profile | None:
        """A member by number, as the v2 API knows them, asked each time. None if there is no such member."""
        return reading.member(self.api.graphql(MEMBER, {"id": member_id}).get("user"))

    def games(self) -> list[Game]:
        """All games of the site, by name."""
        answer = self._cache.get(GAMES, DAY)
        if answer is None:
            answer = self.api.get("/v1/games")
            self._cache.put(GAMES, answer)
        return games_of(answer)

    def mods(self, wanted: Sequence[tuple[str, int]], *, adult_pictures: bool) -> list[Mod]:
        """What the v2 API knows of these mods (game's domain and id), many in one request. Mods that were
        removed are not among them.
        """
        found: list[Mod] = []
        for start in range(0, len(wanted), PAGE):
            ids = [{"gameDomain": domain, "modId": mod_id} for domain, mod_id in wanted[start : start + PAGE]]
            data = self.api.graphql(MODS, {"ids": ids, "count": PAGE})
            page = data.get("legacyModsByDomain")
            if not isinstance(page, dict):
                raise PeerFault("Nexus Mods did not answer the query", code="response_invalid")
            nodes = reading.objects(page.get("nodes"))
            read = (reading.mod_node(each, adult_pictures=adult_pictures) for each in nodes)
            found += [each for each in read if each is not None]
        return found

    def mod(self, domain: str, mod_id: int, *, adult_pictures: bool) -> Mod:
        """One mod. Raises NotFound `nexus_not_found`."""
        try:
            answer = self._get(f"/v1/games/{domain}/mods/{mod_id}", FIVE_MINUTES)
        except ApiRefused as error:
            raise not_found(error, f"the mod {domain}/{mod_id}") from None
        found = (
            reading.mod(answer, domain, adult_pictures=adult_pictures) if isinstance(answer, dict) else None
        )
        if found is None:
            raise PeerFault("Nexus Mods sent a mod that cannot be read", code="response_invalid")
        return found

    def files(self, domain: str, mod_id: int, *, fresh: bool = False) -> ModFiles:
        """A mod's files, and which replaces which. Raises ApiRefused 403 or 404 for a mod that is hidden or
        removed.
        """
        return reading.mod_files(
            self._get(f"/v1/games/{domain}/mods/{mod_id}/files", FIVE_MINUTES, fresh=fresh)
        )

    def file(self, domain: str, mod_id: int, file_id: int) -> ModFile:
        """One file, also if the list leaves it out. Raises NotFound `nexus_not_found`."""
        try:
            answer = self._get(f"/v1/games/{domain}/mods/{mod_id}/files/{file_id}", FIVE_MINUTES)
        except ApiRefused as error:
            raise not_found(error, f"the file {file_id} of the mod {domain}/{mod_id}") from None
        found = reading.mod_file(answer) if isinstance(answer, dict) else None
        if found is None:
            raise PeerFault("Nexus Mods sent a file that cannot be read", code="response_invalid")
        return found

    def browse(self, domain: str, which: List, *, adult_pictures: bool, fresh: bool = False) -> list[Mod]:
        """Ten mods of a game: trending, the newest, or those that changed last."""
        try:
            answer = self._get(f"/v1/games/{domain}/mods/{which}", FIVE_MINUTES, fresh=fresh)
        except ApiRefused as error:
            raise not_found(error, f"the game {domain}") from None
        found = (reading.mod(each, domain, adult_pictures=adult_pictures) for each in reading.objects(answer))
        return [each for each in found if each is not None]

    def updated(self, domain: str, period: Period) -> list[Change]:
        """The mods of a game whose files changed in the last day, week or month."""
        path = f"/v1/games/{domain}/mods/updated"
        key = f"{self.api.base}{path}?{period}"
        answer = self._cache.get(key, FIVE_MINUTES)
        if answer is None:
            try:
                answer = self.api.get(path, {"period": period})
            except ApiRefused as error:
                raise not_found(error, f"the game {domain}") from None
            self._cache.put(key, answer)
        found = []
        for each in reading.objects(answer):
            mod_id, files_at = (
                reading.number(each.get("mod_id")),
                reading.number(each.get("latest_file_update")),
            )
            if mod_id is not None and files_at is not None:
                found.append(Change(mod_id, files_at))
        return found

    # --- the user's own -------------------------------------------------------------------------------------

    def tracked(self) -> list[tuple[str, int]]:
        """The mods that the user tracks at the site, of all games: domain and id."""
        found = []
        for each in reading.objects(self.api.get("/v1/user/tracked_mods")):
            domain, mod_id = each.get("domain_name"), reading.number(each.get("mod_id"))
            if isinstance(domain, str) and DOMAIN.fullmatch(domain) and mod_id is not None:
                found.append((domain, mod_id))
        return found

    def track(self, domain: str, mod_id: int, on: bool) -> None:
        """Track a mod at the site, or end that. What is so already is no error."""
        try:
            self.api.send(
                "POST" if on else "DELETE", "/v1/user/tracked_mods", {"domain_name": domain, "mod_id": mod_id}
            )
        except ApiRefused as error:
            if error.status != (422 if on else 404):
                raise

    # --- downloads ------------------------------------------------------------------------------------------

    def links(self, domain: str, mod_id: int, file_id: int, link: NxmLink | None) -> list[str]:
        """The addresses of a file, the user's preferred server first. `link`: of the site's button, for free
        members. Raises ApiRefused: 403 if only premium members get one without a link, 400 if the link has
        ended or is another member's.
        """
        params = None
        if link is not None and link.key is not None and link.expires is not None:
            params = {"key": link.key.reveal(), "expires": str(int(link.expires.timestamp()))}
        answer = self.api.get(f"/v1/games/{domain}/mods/{mod_id}/files/{file_id}/download_link", params)
        found = (each.get("URI") for each in reading.objects(answer))
        return [each for each in found if isinstance(each, str) and each]

    def by_md5(self, domain: str, md5: str) -> list[int]:
        """The ids of the files with this MD5 (hex, lower case). Empty if the site knows none."""
        try:
            answer = self.api.get(f"/v1/games/{domain}/mods/md5_search/{md5}")
        except ApiRefused as error:
            if error.status == 404:
                return []
            raise
        details = (each.get("file_details") for each in reading.objects(answer))
        ids = (reading.number(each.get("file_id")) for each in details if isinstance(each, dict))
        return [each for each in ids if each is not None]
