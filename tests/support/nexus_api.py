"""The answers of our Nexus Mods server: v1 by its paths, v2 by `nexus_graphql.py`, one call of v3.

Sources are in `nexus_site.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from support import nexus_graphql
from support.nexus_site import Game, Member, Mod, Site

PREMIUM_ONLY = {  # VTX; "visting" is theirs
    "code": 403,
    "message": "You don't have permission to get download links from the API without visting nexusmods.com - "
    "this is for premium users only.",
}
WRONG_LINK = {
    "code": 400,
    "message": "Provided key and expire time isn't correct for this user/file.",
}  # JD, VTX


class Refused(Exception):
    """An answer that is not 200."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def route(site: Site, member: Member | None, method: str, path: str, query: dict[str, str], body: Any) -> Any:
    """The JSON for a request. Each path of v1 also answers with `.json` appended."""
    if path == "/v2/graphql":
        return nexus_graphql.answer(site, member, body)
    found = re.fullmatch(r"/v3/games/(\w+)/trending-mods", path)
    if found:
        return trending(site, _game(site, found[1]))
    assert member is not None
    parts = path.removeprefix("/v1/").removesuffix(".json").strip("/").split("/")
    match (method, parts):
        case "GET", ["users", "validate"]:
            return {
                "user_id": member.id,
                "key": member.key,  # echoed (NNA)
                "name": member.name,
                "is_premium?": member.is_premium,
                "is_supporter?": "supporter" in member.roles,
                "email": f"{member.name.lower()}@example.org",
                "profile_url": f"{site.cdn}/pictures/member-{member.id}.png",
                "is_premium": member.is_premium,
                "is_supporter": "supporter" in member.roles,
            }
        case "GET", ["games"]:
            return [site.game_json(game) for game in site.games.values()]
        case "GET", ["games", domain]:
            return {**site.game_json(_game(site, domain)), "categories": [_CATEGORY]}
        case "GET", ["colourschemes"]:
            return []
        case _, ["user", "tracked_mods"]:
            return _tracked(member, method, {**query, **(body or {})})
        case "GET", ["user", "endorsements"]:
            return [
                {"mod_id": mod.mod_id, "domain_name": game.domain, "date": "2026-01-02T03:04:05.000Z",
                 "version": mod.version, "status": "Endorsed"}
                for game in site.games.values() for mod in game.mods.values() if mod.endorsed
            ]  # fmt: skip
        case _, ["games", domain, "mods", *rest]:
            return _mods(site, member, _game(site, domain), method, rest, query)
    raise Refused(404, {"code": 404, "message": "Not found"})


_CATEGORY = {"category_id": 1, "name": "Skyrim", "parent_category": False}


def _game(site: Site, domain: str) -> Game:
    if domain not in site.games:
        raise Refused(404, {"code": 404, "message": f"No Game Found: {domain}"})  # JD
    return site.games[domain]


def _mods(site: Site, member: Member, game: Game, method: str, rest: list[str], query: dict[str, str]) -> Any:
    shown = [mod for mod in game.mods.values() if mod.status != "removed"]
    match rest:
        case ["trending"]:
            return [site.mod_json(game, mod) for mod in sorted(shown, key=lambda mod: -mod.downloads)][:10]
        case ["latest_added"] | ["latest_updated"]:
            return [site.mod_json(game, mod) for mod in sorted(shown, key=lambda mod: -mod.updated)][:10]
        case ["updated"]:
            days = {"1d": 1, "1w": 7, "1m": 28}[query["period"]]
            since = site.clock() - days * 86_400
            return [
                {
                    "mod_id": mod.mod_id,
                    "latest_file_update": mod.updated,
                    "latest_mod_activity": mod.activity or mod.updated,
                }
                for mod in shown
                if mod.updated >= since
            ]
        case ["md5_search", text]:
            if not re.fullmatch(r"[0-9a-f]{32}", text):
                raise Refused(422, {"message": "Invalid MD5"})
            return _by_md5(site, game, text)
        case [number, *more] if number.isdigit():
            mod = game.mods.get(int(number))
            if mod is None or mod.status == "removed":
                raise Refused(404, {"error": f"Mod ID '{number}' not found"})
            return _mod(site, member, game, mod, method, more, query)
    raise Refused(404, {"code": 404, "message": "Not found"})


def _by_md5(site: Site, game: Game, text: str) -> Any:
    found = [
        {"mod": site.mod_json(game, mod), "file_details": {**site.file_json(game, mod, file), "md5": text}}
        for mod in game.mods.values()
        for file in mod.files
        if file.md5 == text
    ]
    if not found:
        raise Refused(404, {"code": 404, "message": "No results found"})
    return found


def _mod(
    site: Site, member: Member, game: Game, mod: Mod, method: str, rest: list[str], query: dict[str, str]
) -> Any:
    if rest and not mod.available:
        raise Refused(403, {"code": 403, "message": "Mod not available"})
    files = {str(file.file_id): file for file in mod.files}
    match (method, rest):
        case "GET", []:
            return site.mod_json(game, mod)
        case "GET", ["changelogs"]:
            return {mod.version: ["Fixes"]}
        case "GET", ["files"]:
            return site.files_json(game, mod)
        case "POST", ["endorse" | "abstain" as what]:
            mod.endorsed = what == "endorse"
            return {"message": "Updated", "status": "Endorsed" if mod.endorsed else "Abstained"}
        case "GET", ["files", number, *more]:
            if number not in files:
                raise Refused(404, {"error": f"File ID '{number}' not found"})  # JD
            file = files[number]
            if not more:
                return site.file_json(game, mod, file)
            key, expires = query.get("key"), query.get("expires")
            if key is None and not member.is_premium:
                raise Refused(403, PREMIUM_ONLY)
            if key is not None and (
                key != site.sign("nxm", member.id, file.file_id, expires) or int(expires or 0) <= site.clock()
            ):
                raise Refused(400, WRONG_LINK)
            return site.cdn_links(member, game, mod, file)
    raise Refused(404, {"code": 404, "message": "Not found"})


def _tracked(member: Member, method: str, asked: Mapping[str, Any]) -> Any:
    """The words are MO2's and NNA's."""
    if method == "GET":
        return [{"mod_id": mod_id, "domain_name": domain} for domain, mod_id in member.tracked]
    one = (str(asked["domain_name"]), int(asked["mod_id"]))
    if method == "POST":
        if one in member.tracked:
            raise Refused(422, {"message": f"User {member.id} is already Tracking Mod: {one[1]}"})
        member.tracked.append(one)
        return {"message": f"User {member.id} is now Tracking Mod: {one[1]}"}
    if one not in member.tracked:
        raise Refused(404, {"message": "Users is not tracking mod. Unable to untrack."})
    member.tracked.remove(one)
    return {"message": f"User {member.id} is no longer tracking {one[1]}"}


def trending(site: Site, game: Game) -> Any:
    """v3: five mods, none adult, no authentication needed."""
    shown = [mod for mod in game.mods.values() if mod.available and not mod.adult][:5]
    return {
        "data": {
            "mods": [
                {
                    "name": mod.name,
                    "author": mod.author,
                    "summary": mod.name,
                    "picture_url": f"{site.cdn}/pictures/{mod.mod_id}.png",
                    "mod_page_url": f"https://www.nexusmods.com/{game.domain}/mods/{mod.mod_id}",
                }
                for mod in shown
            ]
        }
    }
