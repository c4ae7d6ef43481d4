"""An account's ID token, for programs that sign in with it: Kubernetes by OpenID Connect, Vault, AWS roles.

It is the one that came with the last sign-in or renewal. If it has expired, the sign-in is renewed, once for
all who ask at the same time, because most providers then send a new one. Not all do.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from keyfob.core.account import Record
from keyfob.core.errors import KeyfobError, SettingWrong, SignInNeeded
from keyfob.core.grant import Grant
from keyfob.core.min_life import min_life
from keyfob.core.provider import Provider
from keyfob.core.secret import Secret
from keyfob.ports import Clock
from keyfob.protocol.oidc.id_token import unverified_claims
from keyfob.service.accounts.accounts import Accounts
from keyfob.service.accounts.keeper import Keeper
from keyfob.service.accounts.tool_tokens import refuse_sharing
from keyfob.service.accounts.views import Token
from keyfob.service.contexts import ContextBuilder

# A provider that sent no ID token with a renewal is not asked again for it so soon.
ASKED_LATELY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Held:
    """An ID token with its times (OpenID Connect Core §2)."""

    token: Secret
    issued_at: datetime
    expires_at: datetime

    def serves(self, now: datetime) -> bool:
        lifetime = (self.expires_at - self.issued_at).total_seconds()
        return self.expires_at - now > timedelta(seconds=min_life(lifetime))


class IdTokens:
    """Blocking and thread-safe."""

    def __init__(self, accounts: Accounts, keeper: Keeper, contexts: ContextBuilder, now: Clock) -> None:
        self._accounts = accounts
        self._keeper = keeper
        self._contexts = contexts
        self._now = now

    def token(self, ref: str) -> Token:
        """An ID token that has not expired. Raises SettingWrong `id_token_missing` if the provider gives the
        account none and `sharing_not_allowed`, SignInNeeded `id_token_expired` if a renewal brings no new
        one, and what Keeper.grant raises.
        """
        record = self._accounts.resolve(ref)
        provider = self._contexts.provider(record)
        refuse_sharing(record, provider)
        grant = self._keeper.grant(record.account.key, min_life=None)
        held = _newest(grant)
        if held is None:
            raise SettingWrong(
                f"{provider.title} gave {record.account.id} no ID token",
                code="id_token_missing",
                facts={"account": record.account.id},
            )
        if not held.serves(self._now()) and self._may_bring(grant, held):
            held = self._renewed(record, grant, held)
        if held.expires_at <= self._now():
            raise _expired(record, provider)
        return Token(record.account.id, held.token, "id_token", held.expires_at, grant.scopes)

    def _may_bring(self, grant: Grant, held: _Held) -> bool:
        """Whether a renewal may bring a newer one: not if the last brought none, and was just now."""
        brought = held.issued_at >= grant.obtained_at - timedelta(minutes=1)  # two clocks
        return grant.renewable and (brought or self._now() - grant.obtained_at > ASKED_LATELY)

    def _renewed(self, record: Record, grant: Grant, held: _Held) -> _Held:
        """The ID token after a renewal, `held` if it still lives and the renewal fails."""
        key = record.account.key
        lives = held.expires_at > self._now()
        with suppress(*([KeyfobError] if lives else [])):
            # Named as rejected, so that many who ask at once cost one renewal.
            return _newest(self._keeper.grant(key, min_life=None, rejected=grant.access)) or held
        return held


def _expired(record: Record, provider: Provider) -> SignInNeeded:
    return SignInNeeded(
        f"The ID token of {record.account.id} has expired, and {provider.title} sent no new one",
        code="id_token_expired",
        facts={"account": record.account.id},
    )


def _newest(grant: Grant) -> _Held | None:
    """The ID token that lives longest. A renewal's was checked before the grant was used, except after a
    crash: it must name the issuer, the subject and the audience of the sign-in's.
    """
    first, later = _held(grant.id_token), _held(grant.new_id_token)
    if first is None or later is None or later.expires_at <= first.expires_at:
        return first
    before, after = unverified_claims(first.token) or {}, unverified_claims(later.token) or {}
    same = all(before.get(name) == after.get(name) for name in ("iss", "sub", "aud"))
    return later if same else first


def _held(token: Secret | None) -> _Held | None:
    claims = unverified_claims(token) or {}
    times = []
    for name in ("iat", "exp"):
        value = claims.get(name)
        if token is None or not isinstance(value, int | float) or isinstance(value, bool):
            return None
        try:
            times.append(datetime.fromtimestamp(value, UTC))
        except (OverflowError, ValueError, OSError):
            return None
    assert token is not None
    return _Held(token, times[0], times[1])
