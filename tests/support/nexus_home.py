"""Accounts at our Nexus Mods server, for tests of the services in this process: members with a key, or with
tokens that are replaced as Keyfob's engine does. The whole program is in `test_nexus_commands.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from keyfob.client import tokens
from keyfob.core.errors import SettingWrong
from keyfob.nexus.service import Nexus
from support.nexus_server import NexusServer, issue


class Member:
    """A source for `keyfob.Auth` (`keyfob.client.tokens.Source`): `nexusmods/<name>` of each member."""

    def __init__(self, server: NexusServer, *, oauth: bool = False) -> None:
        self.server, self.oauth = server, oauth
        self.granted = {
            each.id: issue(server.site, each.id)["access_token"] for each in server.site.members.values()
        }
        self.keys = {each.id: each.key for each in server.site.members.values()}
        self.renewals = 0

    def accounts(self) -> list[dict[str, Any]]:
        return [
            {
                "id": f"nexusmods/{each.name.lower()}",
                "provider": "nexusmods",
                "label": each.name.lower(),
                "name": each.name,
                "subject": str(each.id),
                "method": "oauth" if self.oauth else "api_key",
                "plan": "premium" if each.is_premium else "free",
                "hosts": [urlsplit(self.server.base).netloc],
            }
            for each in self.server.site.members.values()
        ]

    def lease(self, account: str, min_life: float | None, rejected: str | None) -> dict[str, Any]:
        raise AssertionError("Nexus Mods asks for signed requests alone")

    def sign(
        self, account: str, method: str, url: str, nonce: str | None, rejected: str | None
    ) -> dict[str, Any]:
        if not url.startswith(self.server.base + "/"):
            raise SettingWrong("not one of the API's hosts", code="host_not_allowed")
        member = next(
            each for each in self.server.site.members.values() if account == f"nexusmods/{each.name.lower()}"
        )
        if not self.oauth:
            key = self.keys[member.id]
            return {"token": key, "url": url, "headers": {"apikey": key}, "expires_at": None}
        if rejected == self.granted[member.id]:
            self.renewals += 1
            self.granted[member.id] = issue(self.server.site, member.id)["access_token"]
        token = self.granted[member.id]
        return {
            "token": token,
            "url": url,
            "headers": {"Authorization": f"Bearer {token}"},
            "expires_at": None,
        }


@contextmanager
def nexus_at(folder: Path, server: NexusServer, *, oauth: bool = False, pause: float = 0) -> Iterator[Nexus]:
    """The services over the server, with nothing on disk yet and without pauses between requests."""
    before = tokens.ask(Member(server, oauth=oauth))
    for name in ("state", "data", "run"):
        (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    nexus = Nexus(folder / "state", folder / "data", {"KEYFOB_HOME": str(folder)}, pause=pause)
    try:
        yield nexus
    finally:
        nexus.close()
        tokens.ask(before)
