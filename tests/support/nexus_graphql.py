"""As much of GraphQL as our Nexus Mods server answers: `user`, `mods` and `legacyModsByDomain` of the v2 API.

A query is read as the language has it, as far as selections go: names, arguments (skipped) and braces. Fields
that we do not have (the schema is NMA's schema.graphql) are refused, as a real server refuses unknown ones:
status 200 and `errors`.
"""

from __future__ import annotations

import re
from typing import Any

from support.nexus_site import Game, Member, Mod, Site

_TOKEN = re.compile(r"\.\.\.|[A-Za-z_]\w*|[{}()]|\"(?:[^\"\\]|\\.)*\"|[^\s]")
Selection = dict[str, Any]


class Unknown(Exception):
    """A field that the schema does not have."""


def answer(site: Site, member: Member | None, body: Any) -> dict[str, Any]:
    """The document that the API returns for a request's JSON."""
    query, variables = str(body.get("query", "")), body.get("variables") or {}
    fields = {
        "user": lambda: _user(site, variables),
        "mods": lambda: _mods(site, member, variables),
        "legacyModsByDomain": lambda: _by_domain(site, member, variables),
    }
    try:
        data = {}
        for name, selection in _selections(query).items():
            if name not in fields:
                raise Unknown(f"Field '{name}' doesn't exist on type 'Query'")
            data[name] = _select(fields[name](), selection, name)
        return {"data": data}
    except Unknown as error:
        return {"errors": [{"message": str(error)}]}


def _selections(query: str) -> Selection:
    tokens = _TOKEN.findall(query)
    return _read(tokens, tokens.index("{") + 1)[0]


def _read(tokens: list[str], at: int) -> tuple[Selection, int]:
    found: Selection = {}
    while tokens[at] != "}":
        name, at = tokens[at], at + 1
        if tokens[at] == "(":
            depth = 1
            while depth:
                at += 1
                depth += {"(": 1, ")": -1}.get(tokens[at], 0)
            at += 1
        found[name] = None
        if tokens[at] == "{":
            found[name], at = _read(tokens, at + 1)
    return found, at + 1


def _select(value: Any, selection: Selection | None, type_name: str) -> Any:
    if isinstance(value, list):
        return [_select(each, selection, type_name) for each in value]
    if value is None or selection is None:
        return value
    missing = [name for name in selection if name not in value]
    if missing:
        raise Unknown(f"Field '{missing[0]}' doesn't exist on type '{type_name}'")
    return {name: _select(value[name], inner, name) for name, inner in selection.items()}


def _user(site: Site, variables: dict[str, Any]) -> dict[str, Any] | None:
    found = site.members.get(int(variables.get("id", 0)))
    if found is None:
        return None
    return {
        "name": found.name,
        "avatar": f"{site.cdn}/pictures/member-{found.id}.png",
        "memberId": found.id,
        "membershipRoles": list(found.roles),
    }


def _mods(site: Site, member: Member | None, variables: dict[str, Any]) -> dict[str, Any]:
    wanted = {
        value["value"]
        for value in (variables.get("filter") or {}).get("gameDomainName", [])
        if value["op"] == "EQUALS"
    }
    found = [
        _mod(site, game, mod, member)
        for game in site.games.values()
        if game.domain in wanted
        for mod in game.mods.values()
        if mod.available
    ]
    return {"totalCount": len(found), "nodes": found[: int(variables.get("count", 20))]}


def _by_domain(site: Site, member: Member | None, variables: dict[str, Any]) -> dict[str, Any]:
    nodes = []
    for each in variables.get("ids", []):
        game = site.games.get(each["gameDomain"])
        mod = game.mods.get(int(each["modId"])) if game else None
        if game is not None and mod is not None and mod.status not in ("removed", "wastebinned"):
            nodes.append(_mod(site, game, mod, member))
    return {"totalCount": len(nodes), "nodes": nodes[:80]}


def _mod(site: Site, game: Game, mod: Mod, member: Member | None) -> dict[str, Any]:
    plain = site.mod_json(game, mod)
    return {
        "modId": mod.mod_id,
        "uid": str(plain["uid"]),  # does not fit JavaScript's numbers (VTX UIDs.ts)
        "name": mod.name,
        "summary": plain.get("summary", ""),
        "version": mod.version,
        "author": mod.author,
        "updatedAt": plain["updated_time"],
        "createdAt": plain["created_time"],
        "downloads": mod.downloads,
        "endorsements": 12,
        "adultContent": mod.adult,
        "thumbnailUrl": f"{site.cdn}/pictures/{mod.mod_id}-small.png",
        "thumbnailBlurredUrl": f"{site.cdn}/pictures/{mod.mod_id}-blurred.png",
        "pictureUrl": f"{site.cdn}/pictures/{mod.mod_id}.png",
        "status": mod.status,
        "game": {"id": game.id, "domainName": game.domain, "name": game.name},
        "uploader": {"name": mod.author, "memberId": 9001, "avatar": None},
        "viewerTracked": member is not None and (game.domain, mod.mod_id) in member.tracked,
        "viewerEndorsed": mod.endorsed if member else None,
    }
