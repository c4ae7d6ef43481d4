"""What a caller may do with an account.

A grant names an account, methods and paths, who it is for, until when and how often. Whoever has none gets
nothing. Two callers need none: one key for everybody (whoever starts the server chose it) and an
administrator without a tenant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import unquote

from keyfob.core.errors import Usage
from keyfob.gateway.auth.result import AuthResult

METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
READING: Final = ("GET", "HEAD", "OPTIONS")
HOURS: Final = 24  # in which uses are counted
WHO: Final = ("key", "user", "tenant", "anyone", "local")
UNNAMED: Final = ("anyone", "local")
# A program of the gateway's own user on this computer, without a key. It is known by this very value.
LOCAL: Final = AuthResult(True, subject_type="agent", subject_id="local")


@dataclass(frozen=True)
class Grant:
    """One grant. Times are in UTC. No methods or paths mean all of them."""

    grant_id: str
    account: str  # provider/label
    who: str  # key:ID, user:NAME, tenant:NAME, anyone or local
    name: str
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    until: datetime | None = None
    per_hour: int | None = None
    created_at: datetime | None = None
    ended_at: datetime | None = None
    tenant_id: str | None = None
    account_tenant: str | None = None  # whose account it is; None: the server's own

    def is_active(self, now: datetime) -> bool:
        """Whether it has not ended."""
        return self.ended_at is None and (self.until is None or now < self.until)

    def is_for(self, caller: AuthResult) -> bool:
        """Whether this caller may use it. A grant of a tenant, or on its account, is for nobody outside."""
        if any(
            wall is not None and wall != caller.tenant_id for wall in (self.tenant_id, self.account_tenant)
        ):
            return False
        if caller is LOCAL:
            return self.who == "local"
        kind, _, name = self.who.partition(":")
        match kind:
            case "anyone":
                return caller.authenticated
            case "key":
                return name != "" and name == caller.key_id
            case "user":  # an administrator names the users of a tenant, so a name counts in its tenant alone
                return name != "" and (name, self.tenant_id) == (caller.user_id, caller.tenant_id)
            case "tenant":
                return name != "" and name == caller.tenant_id
            case _:
                return False

    def covers(self, method: str, path: str, host: str | None = None) -> bool:
        """Whether this request is within the grant. `path` is raw, as the provider will receive it. `host`:
        another one than the API's; a grant with paths holds for it only if it names it.
        """
        if self.methods and method not in self.methods:
            return False
        plain = f"https://{host}{unquote(path)}" if host else unquote(path or "/")
        return not self.paths or any(re.fullmatch(_expression(pattern), plain) for pattern in self.paths)


@dataclass(frozen=True)
class Uses:
    """When a grant was last used, and how often in each of the last 24 hours. The last one is this hour."""

    last_at: datetime | None = None
    by_hour: tuple[int, ...] = (0,) * HOURS
    refused_by_hour: tuple[int, ...] = (0,) * HOURS

    @property
    def allowed(self) -> int:
        """Requests in these hours."""
        return sum(self.by_hour)

    @property
    def refused(self) -> int:
        """Requests in these hours that the grant does not cover."""
        return sum(self.refused_by_hour)


def is_operator(caller: AuthResult) -> bool:
    """Whether the caller may use every account without a grant."""
    if not caller.authenticated or caller.tenant_id is not None or caller is LOCAL:
        return False
    return caller.is_admin or (caller.user_id is None and caller.key_id is None)


def fitting(grants: Iterable[Grant], caller: AuthResult, account: str, now: datetime) -> list[Grant]:
    """The active grants of this caller for this account. If the caller's tenant and the server both have an
    account of this name, it is the tenant's: one address is one account.
    """
    found = [one for one in grants if one.account == account and one.is_active(now) and one.is_for(caller)]
    own = [one for one in found if one.account_tenant is not None]
    return own or found


def checked_methods(words: Iterable[str]) -> tuple[str, ...]:
    """Methods as they are written in HTTP; `read` stands for those that change nothing. Raises Usage."""
    found: list[str] = []
    for word in words:
        if word.lower() == "read":
            found += READING
        elif word.upper() in METHODS:
            found.append(word.upper())
        else:
            raise Usage(f"{word} is not a method. Use read, or one of {', '.join(METHODS)}")
    return tuple(dict.fromkeys(found))


def checked_paths(patterns: Iterable[str]) -> tuple[str, ...]:
    """Patterns such as `/repos/acme/**`; for another host than the API's, `https://github.com/acme/**`.
    Raises Usage.
    """
    found = tuple(patterns)
    for pattern in found:
        path = re.sub(r"\Ahttps://[a-z0-9.\-:\[\]]+(?=/)", "", pattern)
        if not path.startswith("/") or "//" in path or ".." in path or len(pattern) > 1000:
            raise Usage(f"{pattern!r} is not a path pattern such as /repos/acme/**")
    return found


def checked_who(text: str) -> str:
    """`user:alice`, `tenant:acme`, `key:ID`, `anyone` or `local`. Raises Usage."""
    kind, colon, name = text.partition(":")
    if kind not in WHO or (kind in UNNAMED) == bool(colon) or (colon and not 1 <= len(name) <= 255):
        raise Usage(f"{text!r} does not name a caller. Use user:NAME, tenant:NAME, key:ID, anyone or local")
    return text


def _expression(pattern: str) -> str:
    """`*` stands for any text of one segment, `**` for any text; `/x/**` covers `/x` too."""
    open_end = pattern.endswith("/**")
    parts = re.split(r"(\*\*|\*)", pattern.removesuffix("/**"))
    body = "".join({"*": "[^/]*", "**": ".*"}.get(part) or re.escape(part) for part in parts)
    return f"(?s:{body}(/.*)?)" if open_end else f"(?s:{body})"
