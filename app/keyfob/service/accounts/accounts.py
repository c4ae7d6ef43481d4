"""What a user or a tool does with accounts that exist: list, use, rename, disconnect and remove them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

from keyfob.core.account import (
    Account,
    AccountView,
    Disconnected,
    LoggedEvent,
    PendingRevocation,
    Record,
    shown_status,
    status_word,
)
from keyfob.core.errors import (
    Advice,
    KeychainError,
    KeyfobError,
    NotFound,
    PeerFault,
    SettingWrong,
    Transient,
    Usage,
)
from keyfob.core.grant import Grant
from keyfob.core.http import Request
from keyfob.core.methods import holds_key
from keyfob.core.provider import Provider
from keyfob.core.secret import Secret
from keyfob.core.text import label_from, plain
from keyfob.core.transitions import PersonDisconnected, Renamed, SecretsForgotten, TokenAccepted, after
from keyfob.core.words import RevocationOutcome, Revoked, ShownStatus, UnrevokedReason
from keyfob.ports import AccountStore, Locks
from keyfob.protocol.context import Identity
from keyfob.protocol.oidc import identity
from keyfob.protocol.token_placement import api_of, place_token, token_values
from keyfob.service.accounts.grant_store import GrantStore, lock_name
from keyfob.service.accounts.keeper import LOCK_WAIT, Keeper
from keyfob.service.accounts.revocations import Revocations, report
from keyfob.service.accounts.schedule import Schedule
from keyfob.service.accounts.views import Disconnection, TestResult, Token
from keyfob.service.contexts import ContextBuilder, Signing
from keyfob.service.events import EventBus
from keyfob.service.runner import Runner


class Accounts:
    """Blocking and thread-safe. Refs are `provider/label`, `provider` while it is the only one there, or a key."""

    def __init__(
        self,
        store: AccountStore,
        keeper: Keeper,
        schedule: Schedule,
        grants: GrantStore,
        locks: Locks,
        plans: ContextBuilder,
        runner: Runner,
        revocations: Revocations,
        events: EventBus,
        signing: Signing,
        describe: Callable[[Record], None] = lambda _record: None,
    ) -> None:
        """`describe` keeps in the vault what it takes to list an account again."""
        self._describe = describe
        self._store = store
        self._keeper = keeper
        self._schedule = schedule
        self._grants = grants
        self._locks = locks
        self._plans = plans
        self._runner = runner
        self._revocations = revocations
        self._events = events
        self._signing = signing
        # Whether the keychain can be used, as far as this process knows.
        self.keychain_ok: Callable[[], bool] = lambda: events.keychain_code is None

    # --- seeing ---------------------------------------------------------------------------------------------

    def views(self) -> list[AccountView]:
        """All accounts in the order they were connected."""
        return [self._view(record) for record in self._store.records()]

    def view(self, ref: str) -> AccountView:
        return self._view(self.resolve(ref))

    def resolve(self, ref: str) -> Record:
        """Raises NotFound `account_not_found`, Usage `account_ambiguous` with the ids to choose from, and the store's
        Fault when that account's own row cannot be read."""
        records = self._store.records()
        for record in records:
            if ref in (record.account.id, record.account.key):
                return record
        unread = {each.account_id: each.fault for each in self._store.unread()}
        if ref in unread:
            raise unread[ref]
        same = [record for record in records if record.account.provider == ref]
        others = [account_id for account_id in unread if account_id.startswith(f"{ref}/")]
        if len(same) == 1 and not others:
            return same[0]
        if len(others) == 1 and not same:
            raise unread[others[0]]
        if same or others:
            ids = ", ".join([*(record.account.id for record in same), *(plain(each, 160) for each in others)])
            raise Usage(f"{ref} has {len(same) + len(others)} accounts: {ids}", code="account_ambiguous")
        raise NotFound(f"There is no account {plain(ref, 160)}")

    def unread(self) -> Sequence[KeyfobError]:
        """What is wrong with the accounts that `views` leaves out, each with what to do."""
        return [each.fault for each in self._store.unread()]

    def history(self, ref: str | None = None, *, limit: int = 50, after: int = 0) -> Sequence[LoggedEvent]:
        key = self.resolve(ref).account.key if ref else None
        return self._store.events(after=after, account_key=key, limit=limit)

    # --- using ----------------------------------------------------------------------------------------------

    def token(self, ref: str, *, min_life: timedelta | None = None, rejected: Secret | None = None) -> Token:
        """A valid token for a tool. Raises SettingWrong `sharing_not_allowed` if the terms forbid it, and what
        Keeper.grant raises."""
        record = self.resolve(ref)
        provider = self._plans.provider(record)
        refuse_sharing(record, provider)
        grant = self._keeper.grant(record.account.key, min_life=min_life, rejected=rejected)
        return token_of(record, provider, grant)

    def renew(self, ref: str) -> AccountView:
        """Renew now, whatever is left. Raises what Keeper.grant raises; Usage if there is nothing to renew."""
        record = self.resolve(ref)
        if not record.renewable and self._shown(record) == "connected":
            raise Usage(
                f"{record.account.id} cannot be renewed",
                remedy="Sign in again when the token expires. Until then, you can use it.",
            )
        self._keeper.grant(record.account.key, min_life=timedelta(0), force=True)
        return self.view(record.account.key)

    def test(self, ref: str) -> TestResult:
        """The provider's who-am-I with the account's token, renewed first where needed; a 401 replaces the token
        once. Where there is no such request, the token is renewed, which the provider does for a living grant alone.
        Updates name, avatar and plan. Raises what Keeper.grant raises, PeerFault `subject_mismatch`."""
        record = self.resolve(ref)
        started = self._signing.now()
        if self._test_by_renewing(record):
            self._keeper.grant(record.account.key, min_life=timedelta(0), force=True)
            who = Identity(record.account.subject, record.account.name)
        else:
            who = self._ask(record)
        took = self._signing.now() - started
        nameless = who.subject.startswith(identity.UNIDENTIFIED)
        if record.account.subject and not nameless and who.subject != record.account.subject:
            raise PeerFault(
                f"{record.account.id} now belongs to another person",
                code="subject_mismatch",
            )
        accepted = TokenAccepted(who.name, who.email, who.avatar_url, who.plan)
        self._store.update(record.account.key, partial(after, event=accepted))
        self._events.notify(record, "tested")
        return TestResult(
            record.account.id, True, who.subject, who.name, 200, round(took.total_seconds() * 1000)
        )

    def _ask(self, record: Record) -> Identity:
        grant = self._keeper.grant(record.account.key, min_life=None)
        try:
            return self._identify(record, grant)
        except KeyfobError as error:
            if error.code != "token_rejected":
                raise
        grant = self._keeper.grant(record.account.key, min_life=None, rejected=grant.access)
        return self._identify(record, grant)

    def _identify(self, record: Record, grant: Grant) -> Identity:
        """Who the token is of, if the provider can be asked that; else whether it works."""
        plan = self._plans.for_account(record, grant)
        method, subject = record.account.method, record.account.subject
        profile = plan.provider.key_for(method)
        source = (profile.identity if profile else plan.provider.identity).source
        if source in ("userinfo", "request"):
            return self._runner.run(
                identity.identify(plan, grant, claims=None, method=method, env=self._signing.env)
            )
        return self._runner.run(
            identity.probe(plan, grant, subject=subject, method=method, env=self._signing.env)
        )

    def _test_by_renewing(self, record: Record) -> bool:
        """Whether there is nothing to ask with the token: who the account is came with the ID token, and the user
        information endpoint may refuse a token that is meant for another resource."""
        provider = self._plans.provider(record)
        no_request = provider.test is None or provider.test.url is None
        by_id_token = not holds_key(record.account.method) and provider.identity.source == "id_token"
        return by_id_token and no_request and record.renewable

    # --- changing -------------------------------------------------------------------------------------------

    def rename(self, ref: str, label: str) -> AccountView:
        """Another label; no secret moves. Raises Usage `label_taken`, or for a label of no allowed letter."""
        record = self.resolve(ref)
        clean = label_from(label)
        if clean != label.strip().lower():
            raise Usage(
                f"A label cannot be {plain(label, 64)!r}",
                remedy=f"Use a-z, 0-9, '.', '_', '@' and '-', for example {clean}.",
            )
        changed = self._store.update(record.account.key, partial(after, event=Renamed(clean)))
        if changed is None:
            raise NotFound("The account was removed in the meantime")
        if changed.account.label != record.account.label:
            self._describe(changed)
            self._events.publish(changed, "renamed", f"Renamed from {record.account.label} to {clean}")
        return self._view(changed)

    def disconnect(self, ref: str, *, local: bool = False) -> Disconnection:
        """Forget the grant here at once, and revoke it at the provider, now or later; with it every older sign-in of
        the account that may still live. The account stays. Raises KeychainError if the tokens could not be deleted
        yet: the account is disconnected all the same, and the rest is done once the keychain opens."""
        record = self.resolve(ref)
        again = f"Unlock your keychain, then run `keyfob disconnect {record.account.id}` again."
        return self._end(record, local=local, again=again)

    def remove(self, ref: str, *, local: bool = False) -> Disconnection:
        """Disconnect, then forget the account and all that was kept for it."""
        record = self.resolve(ref)
        again = f"Unlock your keychain, then run `keyfob remove {record.account.id}` again."
        ended = self._end(record, local=local, again=again)
        current = self._store.get(record.account.key)
        if current is not None:
            if current.cleanup:
                raise Transient(
                    f"{current.account.id} is already disconnected, but a renewal is still running",
                    code="busy",
                    remedy="Remove it again in a minute.",
                )
            if not local:
                self._revocations.unregister_account(current)
            self._grants.forget_all(record.account.key)
            self._events.publish(current, "removed", "Removed")
            self._store.remove(record.account.key)
        return replace(ended, account=None)

    def clean_up(self, key: str) -> None:
        """Finish a disconnect that was cut short by a crash, a locked keychain or a renewal under way."""
        record = self._store.get(key)
        if record is not None and record.cleanup:
            self._forget(record, local=self._store.read(_local(key)) is not None)

    def settle_all(self, key: str) -> None:
        """Try the revocations that an earlier disconnect of this account left."""
        due = [p for p in self._store.revocations() if p.account_key == key and not p.held]
        record = self._store.get(key)
        if record is not None and due:
            outcomes = self._revocations.settle_each(due)
            report(self._events, record, [outcome for outcome in outcomes if outcome != "pending"])

    def settle(self, pending: PendingRevocation) -> None:
        """Try a revocation that is still pending."""
        answer = self._revocations.settle(pending)
        record = self._store.get(pending.account_key)
        if record is not None and answer != "pending":
            report(self._events, record, [answer])

    def _end(self, record: Record, *, local: bool, again: str) -> Disconnection:
        key = record.account.key
        now = self._signing.now()
        if isinstance(record.status, Disconnected) and not record.cleanup:
            return replace(self._how_it_ended(record), account=self._view(record))
        self._store.write(_local(key), "1" if local else None)
        # The tombstone comes first: from here no answer of a renewal is stored, and no token is returned.
        marked = self._store.update(key, partial(after, event=PersonDisconnected(now)))
        if marked is None:
            raise NotFound(f"There is no account {record.account.id}")
        if not isinstance(record.status, Disconnected):
            self._events.publish(marked, "disconnected", "Disconnected")
        try:
            ended = self._forget(marked, local=local)
        except KeychainError as error:
            # The account is disconnected; that the tokens are still there must not read as if nothing had been done.
            rest = "deletes" if local else "deletes and revokes"
            raise KeychainError(
                f"{error.message}. {record.account.id} is disconnected here. Keyfob {rest} its tokens when the keychain is unlocked",
                code=error.code,
                remedy=again,
            ) from error
        return replace(ended, account=self.view(key))

    def _how_it_ended(self, record: Record) -> Disconnection:
        """What is known of a disconnect that was carried out before, or by another process."""
        key = record.account.key
        if any(pending.account_key == key and not pending.held for pending in self._store.revocations()):
            return Disconnection(None, "pending")
        for event in reversed(self._store.events(account_key=key, limit=20)):
            if event.kind == "revocation_failed":
                return Disconnection(None, "unsupported", "refused", left=1)
            if event.kind == "revoked":
                return Disconnection(None, "yes")
            if event.kind == "disconnected":
                break
        offered = self._revocations.can_revoke(record)
        return Disconnection(
            None, "unsupported", "nothing_left" if offered else "not_offered", left=int(not offered)
        )

    def _forget(self, record: Record, *, local: bool) -> Disconnection:
        key = record.account.key
        try:
            with self._locks.hold(lock_name(key), timeout=LOCK_WAIT):
                current = self._store.get(key)
                if current is None or not current.cleanup:
                    return self._how_it_ended(record)
                stored = self._grants.newest_or_none(key)
                # With nothing here: a renewal that was under way may have got an answer and revoked it itself.
                before = self._how_it_ended(record) if stored is None else None
                offered = self._revocations.can_revoke(record)
                due = [] if local else self._revocations.release(key)
                if stored is not None and offered and not local:
                    due.insert(0, self._revocations.queue(record, stored.grant))
                self._grants.forget(key)
                untold = self._revocations.held(key) if local else []
                for pending in untold:
                    self._revocations.drop(pending)
                self._store.clear_intent(key)
                self._store.update(key, partial(after, event=SecretsForgotten()))
                self._store.write(_local(key), None)
        except Transient:
            # A renewal under way still holds the lock; the renewer goes on with the cleanup.
            return Disconnection(None, "pending")
        if before is not None and not due and not untold:
            return before
        if local:
            count = len(untold) + (stored is not None)
            return Disconnection(None, "unsupported", "local", sign_ins=count, left=count)
        settled = self._revocations.settle_each(due)
        report(self._events, record, settled)
        if before is not None and before.reason is None:
            settled.insert(0, before.revoked)
        elif before is None and not offered:
            settled.insert(0, "unsupported")
        return _ended(settled)

    # --- views ----------------------------------------------------------------------------------------------

    def _shown(self, record: Record) -> ShownStatus:
        word = status_word(record.status)
        if word in ("connected", "stale") and self._locks.held(lock_name(record.account.key)):
            return "renewing"
        return shown_status(
            word,
            expires_at=record.expires_at,
            renewable=record.renewable,
            now=self._signing.now(),
            keychain_ok=self.keychain_ok() and not self._is_kept_waiting(record),
        )

    def _is_kept_waiting(self, record: Record) -> bool:
        """Whether a renewal is due, here or in another process, and the keychain refused it. One that a user asked for
        before its time changes nothing about a token that lives."""
        if record.last_error is None or record.last_error.advice != Advice.UNLOCK_KEYCHAIN:
            return False
        now = self._signing.now()
        wanted = self._schedule.wanted(record, now)
        return wanted is not None and wanted <= now

    def _view(self, record: Record) -> AccountView:
        account = record.account
        provider: Provider | None
        try:
            provider = self._plans.provider(record)
        except KeyfobError:
            provider = None
        asked = set(account.asked_scopes)
        granted = set(record.scopes)
        narrower = tuple(sorted(asked - granted)) if granted and asked else ()
        return AccountView(
            id=account.id,
            key=account.key,
            provider=account.provider,
            provider_title=provider.title if provider else account.provider,
            label=account.label,
            method=account.method,
            status=self._shown(record),
            subject=account.subject,
            name=account.name,
            email=account.email,
            plan=account.plan,
            avatar_url=account.avatar_url,
            scopes=record.scopes,
            obtained_at=record.obtained_at,
            expires_at=record.expires_at,
            renews_at=record.retry_at
            if record.failures and record.retry_at
            else self._schedule.planned(record),
            renewable=record.renewable,
            connected_at=record.connected_at,
            last_renewed_at=record.last_renewed_at,
            grant_ends_at=record.grant_ends_at,
            last_error=record.last_error,
            key_tail=record.key_tail,
            color=provider.color if provider else "#5c5c63",
            shareable=shareable(provider, record) if provider else True,
            narrower_scopes=narrower,
            issuer=account.pin.server.issuer,
            hosts=hosts_of(provider, account) if provider else (),
        )


def _local(key: str) -> str:
    """Names the note that a disconnect which is not finished yet must not tell the provider."""
    return f"local/{key}"


def _ended(outcomes: Sequence[RevocationOutcome]) -> Disconnection:
    """`outcomes` of all sign-ins, as `Revocations.settle` has them."""
    left = sum(outcome in ("unsupported", "refused") for outcome in outcomes)
    revoked: Revoked = "pending" if "pending" in outcomes else "unsupported" if left else "yes"
    reason: UnrevokedReason | None = None
    if left:
        reason = "refused" if "refused" in outcomes else "not_offered"
    return Disconnection(None, revoked, reason, sign_ins=len(outcomes), left=left)


def hosts_of(provider: Provider, account: Account) -> tuple[str, ...]:
    """The hosts (with their port, if it is not the scheme's) that this account was signed in at and whose API it
    calls, as pinned. Tools that ask by address are answered for these and no others."""
    server, api = account.pin.server, api_of(provider, account.method)
    named = [api.base, provider.api.base, server.issuer, server.endpoints.authorization_endpoint]
    hosts = [urlsplit(url).netloc.lower() for url in named if url]
    return tuple(dict.fromkeys(host for host in (*hosts, *api.hosts, *provider.api.hosts) if host))


def shareable(provider: Provider, record: Record) -> bool:
    """Whether other tools may have this account's token. A preset's `share = false` binds the sign-in that its terms
    are about; an API key is the user's own to use, and so is a client they registered in a preset of their own."""
    return provider.policy.share or holds_key(record.account.method)


def refuse_sharing(record: Record, provider: Provider) -> None:
    """Raises SettingWrong `sharing_not_allowed` if other tools may not have this account's token."""
    if not shareable(provider, record):
        reason = provider.policy.share_reason or f"{provider.title} does not let other tools use its tokens"
        raise SettingWrong(reason, code="sharing_not_allowed")


def token_of(record: Record, provider: Provider, grant: Grant) -> Token:
    """The grant's access token, with the header a request to this provider carries."""
    api = api_of(provider, record.account.method)
    name = (api.name or "Authorization") if api.placement == "header" else "Authorization"
    carried = replace(api, placement="bearer") if api.placement == "query" else api
    pin = record.account.pin
    placed = place_token(
        carried,
        Request("GET", "https://localhost/", "api"),
        grant.access,
        token_type=grant.token_type,
        values=token_values(pin.inputs, pin.client_id, record.account.subject),
    )
    return Token(
        account=record.account.id,
        token=grant.access,
        token_type=grant.token_type,
        expires_at=grant.expires_at,
        scopes=grant.scopes,
        header_name=name,
        header_value=Secret(placed.headers[name]),
    )
