"""GitHub's command line: shows what to type, because gh asks no program; and the tokens in its hosts.yml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from keyfob.core.secret import Secret
from keyfob.ports import Span
from keyfob.tools.entries import KEY, Entry, Format, Place
from keyfob.tools.setup import SHOWN, Setup, SetupPlan, SetupRequest
from keyfob.tools.tool import Tool
from keyfob.tools.yaml_places import member, members, text_at, tree_of


def plan(request: SetupRequest) -> SetupPlan:
    """What to type: gh takes a token from its environment or its own file, and asks no program."""
    accounts = [each for each in request.accounts if request.named or each.provider == "github"]
    ref = accounts[0].id if accounts else "ACCOUNT"
    return SetupPlan(
        notes=[
            "gh cannot be configured to ask a program. Add this function to your shell's start-up file:",
            f'  gh() {{ keyfob exec {ref}=GH_TOKEN -- gh "$@"; }}',
            "For GitHub Enterprise, the variable is GH_ENTERPRISE_TOKEN.",
        ]
    )


def gh_hosts(text: str) -> Iterator[Entry]:
    """The hosts.yml of gh: hosts, each with its token, or those of its
    users; the active user's stands twice.
    """
    try:
        root = tree_of(text)
    except ValueError:
        return
    for host, _, body in members(root):
        active = text_at(text, member(body, "user"))
        places = [(user, member(inner, "oauth_token")) for user, _, inner in members(member(body, "users"))]
        places.append((active[0] if active else "", member(body, "oauth_token")))
        users: dict[str, str] = {}
        spans: dict[str, list[Span]] = {}
        for user, node in places:
            found = text_at(text, node)
            if found is not None:
                users.setdefault(found[0], user)
                spans.setdefault(found[0], []).append(Span(found[1], found[2]))
        for token, user in users.items():
            yield Entry(
                KEY,
                host=host.lower(),
                username=user or None,
                secret=Secret(token),
                spans=tuple(sorted(set(spans[token]), key=lambda span: span.start)),
            )


def _recognized(text: str, body: Mapping[str, Any] | None) -> bool:
    return body is None and "oauth_token:" in text and re.search(r"(?m)^\S+:\s*$", text) is not None


TOOL = Tool(
    "gh",
    Setup(SHOWN, plan),
    formats=(
        Format(
            "gh",
            "GitHub's command line",
            gh_hosts,
            _recognized,
            named=lambda name, _: name == "hosts.yml",
            places=(Place(".config/gh/hosts.yml", "GH_CONFIG_DIR"),),
        ),
    ),
)
