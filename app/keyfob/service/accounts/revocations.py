"""Revokes grants at their providers, at once or later, and deletes the tokens when that is done.

A token that waits for its revocation is in the vault under `revoke/<id>` with everything that the request
needs, so that it outlives the account. If the network or the provider fails, Keyfob tries again, with
backoff, for up to 30 days.

A grant that a new sign-in replaces waits for the account's disconnect, because some providers end all grants
of a user and a client when one is revoked, including the new one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from keyfob.core.account import PendingRevocation, Pin, Record
from keyfob.core.errors import KeychainError, KeyfobError, PeerFault, SettingWrong, SignInNeeded, Transient
from keyfob.core.grant import Grant, SigningKey, seal, unseal
from keyfob.core.methods import METHOD_FACTS
from keyfob.core.provider import Provider, Revocation, RevocationRequest
from keyfob.core.renewal import backoff, jitter_of
from keyfob.core.secret import Secret
from keyfob.core.words import RevocationOutcome, TokenHint
from keyfob.ports import AccountStore, Vault
from keyfob.protocol import identity, nextcloud
from keyfob.protocol.context import Client, FlowContext
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.http.urls import origin_of
from keyfob.protocol.oauth import register, revoke
from keyfob.service.contexts import ContextBuilder, stored_auth
from keyfob.service.events import EventBus
from keyfob.service.runner import Runner

log = logging.getLogger(__name__)
GIVE_UP_AFTER = timedelta(days=30)  # no provider's refresh token that matters outlives this unnoticed
# The sign-in may live on at the provider, and is not tried again.
UNREVOKED: frozenset[RevocationOutcome] = frozenset({"unsupported", "refused", "unconfirmed"})
HELD_MOST = 16  # older sign-ins of one account; each is a keychain entry


# Settings of this computer that stand between Keyfob and every provider until they are corrected.
OF_THIS_COMPUTER = ("tls_untrusted", "ca_file_faulty", "proxy_unsupported")


class Revocations:
    """Thread-safe. `queue` needs the vault; `settle` the network as well."""

    def __init__(
        self, vault: Vault, store: AccountStore, contexts: ContextBuilder, runner: Runner, env: FlowEnv
    ) -> None:
        self._vault = vault
        self._store = store
        self._contexts = contexts
        self._runner = runner
        self._env = env

    def can_revoke(self, record: Record) -> bool:
        """Whether this account's provider can revoke what this method got."""
        provider = self._provider(record.account.provider, record.account.pin)
        if not METHOD_FACTS[record.account.method].revocable:
            return False
        return _offers(provider, record)

    def needs_living_token(self, record: Record, grant: Grant) -> bool:
        """Whether this grant can be revoked only with an access token that works, and its own has expired."""
        way = _way(self._provider(record.account.provider, record.account.pin), record)
        return (
            self.can_revoke(record)
            and way.token == "access_token"  # noqa: S105
            and grant.refresh is not None
            and grant.expired(self._env.now())
        )

    def page_of(self, record: Record) -> str | None:
        """The provider's page where the user can end this account's access, if the preset names it."""
        provider = self._provider(record.account.provider, record.account.pin)
        key = provider.key_for(record.account.method)
        return provider.revocation.page if key is None else key.create_at

    def hold(self, record: Record, grant: Grant) -> PendingRevocation | None:
        """Keep `grant`, which a new sign-in is about to replace, until the account is disconnected. Called
        before the account's client is replaced. None if there is nothing to revoke. Raises KeychainError.
        """
        ends_at = grant.expires_at if grant.refresh is None else record.grant_ends_at
        if not self.can_revoke(record) or (ends_at is not None and ends_at <= self._env.now()):
            return None
        pending = replace(self.queue(record, grant, held=True), ends_at=ends_at)
        self._store.put_revocation(pending)
        return pending

    def held(self, account_key: str) -> list[PendingRevocation]:
        """The account's older sign-ins, the oldest first."""
        found = [p for p in self._store.revocations() if p.held and p.account_key == account_key]
        return sorted(found, key=lambda pending: pending.at)

    def trim(self, account_key: str) -> int:
        """Drop what has expired, and the oldest beyond HELD_MOST. Returns how many of the latter
        there were.
        """
        now = self._env.now()
        held = self.held(account_key)
        ended = [p for p in held if p.ends_at is not None and p.ends_at <= now]
        live = [p for p in held if p not in ended]
        surplus = live[: max(len(live) - HELD_MOST, 0)]
        for pending in (*ended, *surplus):
            self.drop(pending)
        return len(surplus)

    def hold_pending(self, account_key: str) -> None:
        """Revocations that still wait are held back from now on: the account was signed in again."""
        for pending in self._store.revocations():
            if pending.account_key == account_key and not pending.held:
                self._store.put_revocation(replace(pending, held=True))

    def release(self, account_key: str) -> list[PendingRevocation]:
        """The account's older sign-ins, due for revocation from now on."""
        self.trim(account_key)
        due = [replace(p, held=False, at=self._env.now()) for p in self.held(account_key)]
        for pending in due:
            self._store.put_revocation(pending)
        return due

    def queue(
        self,
        record: Record,
        grant: Grant,
        client: Client | None = None,
        key_id: str | None = None,
        *,
        held: bool = False,
    ) -> PendingRevocation:
        """Take over `grant` for revocation: durable before it returns. `client` if it is not the account's
        own yet, with its key's id. `held` as in PendingRevocation. Raises KeychainError.
        """
        account = record.account
        entry = f"revoke/{self._env.new_id()}"
        if client is None:
            client = self._contexts.client(record)
            key_id = self._contexts.secrets(account.key).key_id if client.key else None
        body = {
            "grant": seal(grant).reveal(),
            "client_id": client.client_id,
            "client_auth": client.auth,
            "client_secret": client.secret.reveal() if client.secret else None,
            "client_key": key_id,
        }
        self._vault.save(entry, Secret(json.dumps(body, separators=(",", ":"), ensure_ascii=True)))
        pending = PendingRevocation(
            entry=entry,
            account_id=account.id,
            pin=account.pin,
            provider=account.provider,
            at=self._env.now(),
            account_key=account.key,
            held=held,
        )
        self._store.put_revocation(pending)
        return pending

    def settle(self, pending: PendingRevocation) -> RevocationOutcome:
        """Try it now: `yes`, `pending` (kept for later), `unsupported` (the provider cannot), `refused` (it
        does not let us, and trying again would not help), or `unconfirmed` (nothing can show whether it has
        done it). Never raises a KeyfobError.
        """
        now = self._env.now()
        if self._held_meanwhile(pending):
            return "pending"
        try:
            entry = self._vault.load(pending.entry)
            if entry is None:
                self._store.remove_revocation(pending.entry)
                return "yes"
            outcome = self._ask(pending, entry)
        except KeyfobError as error:
            log.info("revoking for %s failed: %s", pending.account_id, error.code)
            # A client that is refused stays so: what it proves itself with is fixed in the entry.
            passes = isinstance(error, Transient | KeychainError) or error.code in OF_THIS_COMPUTER
            if not passes or error.code == "entry_damaged" or now - pending.at > GIVE_UP_AFTER:
                self.drop(pending)
                return "refused"
            wait = backoff(pending.tries + 1, jitter_of(pending.entry))
            if error.retry_after is not None:
                wait = max(wait, error.retry_after)
            held = self._held_meanwhile(pending)
            self._store.put_revocation(
                replace(pending, tries=pending.tries + 1, retry_at=now + wait, held=held)
            )
            return "pending"
        self.drop(pending)
        return outcome

    def _held_meanwhile(self, pending: PendingRevocation) -> bool:
        """Whether the account was signed in again since `pending` was read: to revoke it now could end that
        sign-in.
        """
        return any(each.entry == pending.entry and each.held for each in self._store.revocations())

    def settle_each(self, due: Sequence[PendingRevocation]) -> list[RevocationOutcome]:
        """The outcome of each, as `settle` has it. After one that has to wait the others wait too: at a
        server that does not answer, each would take its whole deadline.
        """
        outcomes: list[RevocationOutcome] = []
        for pending in due:
            outcomes.append("pending" if "pending" in outcomes else self.settle(pending))
        return outcomes

    def give_back(self, record: Record, grant: Grant, client: Client, key_id: str | None) -> None:
        """Revoke a grant that was received and will not be kept, from memory: the keychain may be why it is
        not kept. What cannot be revoked now waits in the vault, if that works. Raises nothing.
        """
        if not self.can_revoke(record):
            return
        try:
            self._revoke(self._context(record.account.provider, record.account.pin, client, grant), grant)
        except KeyfobError as error:
            log.info("giving back an unwanted grant of %s failed: %s", record.account.provider, error.code)
            if isinstance(error, Transient):
                try:
                    self.queue(record, grant, client, key_id)
                except KeyfobError as also:
                    log.warning("an unwanted grant could not be kept for its revocation: %s", also.code)

    def unregister_account(self, record: Record) -> None:
        """Remove this account's own dynamic registration if there is one, as `unregister` does."""
        uri = record.account.pin.registration_uri
        token = self._contexts.secrets(record.account.key).registration_token
        if uri and token is not None:
            self.unregister(record.account.id, uri, token)

    def unregister(self, name: str, uri: str, token: Secret) -> None:
        """Remove a dynamic registration (RFC 7592); `name` is for the log. Failures are logged only: an
        orphaned registration has no right once its grants are revoked.
        """
        try:
            self._runner.run(register.unregister(uri, token))
        except KeyfobError as error:
            log.info("unregistering the client of %s failed: %s", name, error.code)

    def _ask(self, pending: PendingRevocation, entry: Secret) -> RevocationOutcome:
        try:
            body = json.loads(entry.reveal())
            grant = unseal(Secret(body["grant"]))
            secret = Secret(body["client_secret"]) if body["client_secret"] else None
        except (ValueError, KeyError, TypeError):
            raise KeychainError("A keychain entry is damaged", code="entry_damaged") from None
        key = self._key(pending, body["client_id"], body["client_key"]) if body["client_key"] else None
        client = Client(body["client_id"], stored_auth(body["client_auth"], pending.provider), secret, key)
        return self._revoke(self._context(pending.provider, pending.pin, client, grant), grant)

    def _key(self, pending: PendingRevocation, client_id: str, kid: str) -> SigningKey | None:
        """The client's key with this id. If the user has removed it in the meantime, the one that the account
        uses now: a server takes any key of the client (RFC 7523 §3).
        """
        key = self._contexts.jwk(kid)
        record = self._store.get(pending.account_key)
        if key is not None or record is None or record.account.pin.client_id != client_id:
            return key
        newer = self._contexts.secrets(pending.account_key).key_id
        return self._contexts.jwk(newer) if newer else None

    def _context(self, provider_id: str, pin: Pin, client: Client, grant: Grant) -> FlowContext:
        provider = self._provider(provider_id, pin)
        pinned = pin.server.endpoints.revocation_endpoint
        if pinned:
            # The address that the account was signed in with, whatever its preset says by now.
            way = provider.revocation
            bare = way.without_secret
            if bare is not None and origin_of(bare.url or "") != origin_of(pinned):
                bare = replace(bare, url=None)
            provider = replace(provider, revocation=replace(way, url=None, without_secret=bare))
        return FlowContext(
            provider=provider,
            server=pin.server,
            client=client,
            env=self._env,
            dpop_key=grant.key,
            inputs=pin.inputs,
        )

    def _provider(self, provider_id: str, pin: Pin) -> Provider:
        """The preset; if it is gone or faulty, what the account's pin alone says: its server's own
        revocation.
        """
        try:
            return self._contexts.preset(provider_id, pin)
        except KeyfobError:
            return Provider(id=provider_id, title=provider_id, revocation=Revocation(style="rfc7009"))

    def _revoke(self, ctx: FlowContext, grant: Grant) -> RevocationOutcome:
        if ctx.provider.revocation.style == "nextcloud":
            server = ctx.provider.api.base or ctx.server.issuer or ""
            login = ctx.inputs.get("login", "")
            gone = self._runner.run(
                nextcloud.forget_app_password(ctx, server, login, grant.access),
                plain_host=ctx.provider.plain_host,
            )
            return "yes" if gone == "yes" else "unsupported"
        outcomes = [self._revoke_one(ctx, grant, token, hint) for token, hint in tokens_to_revoke(ctx, grant)]
        # Revoking one of them ends the others too (RFC 7009 §2.1).
        best: tuple[RevocationOutcome, ...] = ("yes", "unconfirmed")
        return next((word for word in best if word in outcomes), "unsupported")

    def _revoke_one(
        self, ctx: FlowContext, grant: Grant, token: Secret, hint: TokenHint
    ) -> RevocationOutcome:
        is_access = hint == "access_token"
        expired = is_access and grant.expired(self._env.now())
        answer = self._runner.run(
            revoke.revoke(ctx, token, hint, expired=expired), plain_host=ctx.provider.plain_host
        )
        if answer in ("yes", "unsupported"):
            return answer
        lives = self._still_lives(ctx, grant) if is_access and not expired else None
        if lives is None:
            return "unconfirmed"
        if not lives:
            return "yes"
        title = ctx.provider.title
        if answer == "accepted":
            raise Transient(f"{title} has not revoked the token yet", answered=True)
        raise PeerFault(f"{title} still accepts the token that it was asked to revoke")

    def _still_lives(self, ctx: FlowContext, grant: Grant) -> bool | None:
        """Whether the provider still accepts the access token; None if that cannot be asked. Raises Transient
        if it is to be asked again.
        """
        try:
            self._runner.run(
                identity.probe(ctx, grant, subject="", method="oauth"), plain_host=ctx.provider.plain_host
            )
        except SignInNeeded:
            return False
        except SettingWrong:
            return None
        except PeerFault as error:
            if error.code != "subject_mismatch":
                return None
        return True

    def drop(self, pending: PendingRevocation) -> None:
        """Forget it, unrevoked or done. Raises nothing."""
        try:
            self._vault.delete(pending.entry)
        except KeychainError:
            # The row stays, so the entry is deleted with the next try;
            # revoking twice is harmless (RFC 7009 §2.2).
            log.info("a revoked token could not be deleted from the keychain yet")
            return
        self._store.remove_revocation(pending.entry)


def report(events: EventBus, record: Record, outcomes: Sequence[RevocationOutcome]) -> None:
    """Write into the account's history how its revocations went; `outcomes` as `settle` has them."""
    if "yes" in outcomes:
        events.publish(record, "revoked", "The provider confirmed the revocation")
    if "pending" in outcomes:
        events.publish(
            record, "revocation_pending", "Keyfob could not reach the provider and keeps trying to revoke"
        )
    left = sum(outcome in UNREVOKED for outcome in outcomes)
    if left:
        what = "1 sign-in" if left == 1 else f"{left} sign-ins"
        sure = all(outcome != "unconfirmed" for outcome in outcomes)
        did = f"did not revoke {what}" if sure else f"did not confirm that {what} ended"
        events.publish(
            record,
            "revocation_failed",
            f"The provider {did}. To end access, use your account settings there",
        )


def tokens_to_revoke(ctx: FlowContext, grant: Grant) -> list[tuple[Secret, TokenHint]]:
    """Which tokens to send, in order. Revoking a refresh token ends its access tokens too (RFC 7009 §2.1), so
    one is enough unless the preset says `both`.
    """
    wanted = revoke.way_of(ctx).token
    access: tuple[Secret, TokenHint] = (grant.access, "access_token")
    if grant.refresh is None or wanted == "access_token":
        return [access]
    refresh: tuple[Secret, TokenHint] = (grant.refresh, "refresh_token")
    return [refresh, access] if wanted == "both" else [refresh]


def _way(provider: Provider, record: Record) -> RevocationRequest:
    """The request for the account's client: a public one has no secret, the others have one, or a key."""
    return provider.revocation.request_of(secret=record.account.pin.confidential)


def _offers(provider: Provider, record: Record) -> bool:
    way = _way(provider, record)
    if way.style == "none":
        return False
    if way.style == "rfc7009":
        return bool(way.url or record.account.pin.server.endpoints.revocation_endpoint)
    return True
