"""A fake for tests of programs that use Keyfob: tokens without an agent, a keychain or a provider.

    def test_upload():
        with keyfob.testing.fake_accounts({"github/alice": "token-1"}) as accounts:
            upload()                              # calls keyfob.token("github") or uses keyfob.Auth
            assert accounts.asked == ["github/alice"]

It serves `keyfob.token`, `keyfob.accounts` and the classes for HTTP libraries in this process alone. A
`keyfob` command that the program starts is not concerned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from keyfob.client import tokens
from keyfob.core.errors import KeyfobError, NotFound, Usage


@dataclass
class FakeAccounts:
    """Accounts by `provider/label`, each with its token.

    A token that is reported as refused is replaced by one with another number: `token-1`, then
    `token-1-renewed-1`. An account in `errors` answers with that error. `asked` lists the
    accounts whose tokens this process did not remember.
    """

    tokens: dict[str, str]
    errors: dict[str, KeyfobError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)  # method and address
    _renewals: dict[str, int] = field(default_factory=dict)

    def accounts(self) -> list[dict[str, Any]]:
        """As `keyfob.accounts()` answers, with fewer fields."""
        return [
            {
                "id": name,
                "provider": name.partition("/")[0],
                "label": name.partition("/")[2],
                "status": "connected",
            }
            for name in self.tokens
        ]

    def lease(self, account: str, min_life: float | None, rejected: str | None) -> dict[str, Any]:
        """The token. It does not expire, so it lives as long as anybody asks for."""
        del min_life
        name = self._find(account)
        self.asked.append(name)
        if name in self.errors:
            raise self.errors[name]
        number = self._renewals.get(name, 0)
        if rejected is not None and rejected == self._token(name, number):
            number = self._renewals[name] = number + 1
        return {
            "account": name,
            "token": self._token(name, number),
            "token_type": "Bearer",
            "expires_at": None,
            "scopes": [],
        }

    def sign(
        self, account: str, method: str, url: str, nonce: str | None, rejected: str | None
    ) -> dict[str, Any]:
        """The token as a Bearer header. Every address is accepted, and no nonce is needed."""
        del nonce
        self.requests.append((method, url))
        answer = self.lease(account, None, rejected)
        return {**answer, "url": url, "headers": {"Authorization": f"Bearer {answer['token']}"}}

    def _token(self, name: str, number: int) -> str:
        return self.tokens[name] + (f"-renewed-{number}" if number else "")

    def _find(self, account: str) -> str:
        found = [name for name in self.tokens if account in (name, name.partition("/")[0])]
        if not found:
            raise NotFound(f"There is no account {account}", code="account_not_found")
        if len(found) > 1:
            raise Usage(f"{account} has several accounts: {', '.join(found)}", code="account_ambiguous")
        return found[0]


@contextmanager
def fake_accounts(accounts: Mapping[str, str]) -> Iterator[FakeAccounts]:
    """Answer from `accounts` (tokens by `provider/label`) until the block ends. For the whole process."""
    fake = FakeAccounts(dict(accounts))
    before = tokens.ask(fake)
    try:
        yield fake
    finally:
        tokens.ask(before)
