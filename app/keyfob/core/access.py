"""What a person may want an account for, as bundles of scopes: which scopes are asked for, and which bundles
were granted. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from keyfob.core.provider import Access, Provider


@dataclass(frozen=True, slots=True)
class GrantedAccess:
    """A bundle that an account has, named for people."""

    id: str
    title: str
    scopes: tuple[str, ...] = field(default=(), compare=False)  # as the preset has them; not in JSON

    def to_json(self) -> dict[str, str]:
        """As `keyfob status --json` lists it."""
        return {"id": self.id, "title": self.title}

    @classmethod
    def from_json(cls, row: Mapping[str, str]) -> GrantedAccess:
        """What `to_json` made. Raises KeyError."""
        return cls(row["id"], row["title"])


def bundle(provider: Provider, access_id: str) -> Access | None:
    """The preset's bundle of this id."""
    return next((each for each in provider.access if each.id == access_id), None)


def default_access(provider: Provider) -> tuple[str, ...]:
    """The ids of the bundles that are asked for if nobody chooses."""
    return tuple(each.id for each in provider.access if each.default)


def scopes_for(
    provider: Provider, access_ids: Iterable[str], *, base: Sequence[str], further: Sequence[str] = ()
) -> tuple[str, ...]:
    """`base`, the scopes of the bundles, and `further` ones, each once. An unknown id adds nothing."""
    wanted = set(access_ids)
    bundled = (scope for each in provider.access if each.id in wanted for scope in each.scopes)
    return tuple(dict.fromkeys((*base, *bundled, *further)))


def with_implied(provider: Provider, scopes: Iterable[str]) -> frozenset[str]:
    """The scopes, and those that they contain: a provider may leave these out of its answers."""
    found: set[str] = set()
    left = list(scopes)
    while left:
        scope = left.pop()
        if scope not in found:
            found.add(scope)
            left += provider.implied_scopes.get(scope, "").split()
    return frozenset(found)


def granted(provider: Provider, scopes: Iterable[str]) -> tuple[GrantedAccess, ...]:
    """The bundles whose scopes are all among the granted ones."""
    held = with_implied(provider, scopes)
    return tuple(
        GrantedAccess(each.id, each.title, each.scopes)
        for each in provider.access
        if held.issuperset(each.scopes)
    )


def missing(provider: Provider, asked: Iterable[str], scopes: Iterable[str]) -> tuple[str, ...]:
    """What was asked for and not granted, sorted."""
    return tuple(sorted(set(asked) - with_implied(provider, scopes)))


def refused(provider: Provider, asked: Iterable[str], scopes: Iterable[str]) -> tuple[GrantedAccess, ...]:
    """The bundles that were asked for as a whole and not granted as a whole."""
    wanted, held = set(asked), with_implied(provider, scopes)
    return tuple(
        GrantedAccess(each.id, each.title, each.scopes)
        for each in provider.access
        if wanted.issuperset(each.scopes) and not held.issuperset(each.scopes)
    )
