"""Signing in: prepares an attempt, runs the flow of its method, checks who signed in, and saves the account.

A new account is saved, then shown, and "Not you?" undoes it. Reconnecting requires the same subject. If Keyfob received a
grant that it may not keep (another subject, a cancelled dialog, a keychain that refuses), it revokes it at the provider.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

from keyfob.core.account import Account, AccountView, Connected, Pin, Record
from keyfob.core.errors import Fault, KeyfobError, NotFound, PeerFault, SettingWrong, Usage
from keyfob.core.grant import Grant
from keyfob.core.methods import METHOD_FACTS, Method
from keyfob.core.provider import Provider, Server
from keyfob.core.secret import Secret
from keyfob.core.text import label_from, plain
from keyfob.core.times import from_rfc3339, to_rfc3339
from keyfob.core.transitions import Renamed, SignedIn, after
from keyfob.core.words import LoggedKind, known
from keyfob.ports import Spawn
from keyfob.protocol.identity import UNIDENTIFIED
from keyfob.service.accounts.grant_store import lock_name
from keyfob.service.accounts.keeper import LOCK_WAIT
from keyfob.service.accounts.revocations import HELD_MOST
from keyfob.service.accounts.views import Progress, SignInRequest
from keyfob.service.contexts import NO_SECRETS, identity_urls
from keyfob.service.sign_in import methods
from keyfob.service.sign_in.attempt import Attempt
from keyfob.service.sign_in.deps import PreparedSignIn, SignInDeps, SignInOutcome

log = logging.getLogger(__name__)
SWEEP_AFTER = timedelta(minutes=30)


class SignIn:
    """Blocking and thread-safe; any number of attempts at a time."""

    def __init__(self, deps: SignInDeps) -> None:
        self._deps = deps

    def begin(self, request: SignInRequest) -> Attempt:
        """Checks the request and makes an attempt; nothing is sent or opened yet. Raises NotFound, Usage,
        SettingWrong `blocked_by_terms`, `method_not_offered`.
        """
        deps = self._deps
        record = deps.accounts.resolve(request.account) if request.account else None
        provider = deps.catalogue.get(record.account.provider if record else request.provider)
        asked = request.method or (record.account.method if record else provider.methods[0])
        method = known(provider.methods, asked)
        if method is None:
            offered = ", ".join(provider.methods)
            raise SettingWrong(
                f"{provider.title} does not offer {asked}. It offers {offered}", code="method_not_offered"
            )
        if record and method != record.account.method and not request.switch_method:
            raise Usage(
                f"{record.account.id} signs in with {record.account.method}",
                remedy=f"To change the method, run: keyfob reconnect {record.account.id} --method {method}",
            )
        if request.label and record is None:
            self._refuse_taken(provider.id, label_from(request.label))
        paste = (provider.redirect.paste or "url") if METHOD_FACTS[method].comes_back else None
        progress = Progress("preparing", provider.id, provider.title, method, paste=paste)
        return Attempt(
            self, deps.env.new_id(), replace(request, provider=provider.id, method=method), progress
        )

    def perform(self, attempt: Attempt, spawn: Spawn) -> AccountView:
        """For Attempt.run alone."""
        deps, request = self._deps, attempt.request
        record = deps.accounts.resolve(request.account) if request.account else None
        if record is not None and record.cleanup:
            deps.disconnector.clean_up(record.account.key)
        if record is not None:
            # Now, while the old sign-in can still be revoked without the new one.
            deps.disconnector.settle_all(record.account.key)
        account_key = record.account.key if record else deps.entropy(12)
        preset = deps.catalogue.get(request.provider)
        inputs = deps.clients.inputs(preset, request, record)
        if record is not None:
            _refuse_elsewhere(record, inputs)
        ready = PreparedSignIn(
            attempt,
            deps.clients.filled(preset, inputs),
            attempt.progress.method,
            account_key,
            inputs,
            record,
            spawn,
        )
        name = f"attempt/{attempt.id}"
        lock = f"attempt-{attempt.id}"
        with deps.locks.hold(lock, timeout=timedelta(seconds=5)):
            deps.store.write(
                name,
                json.dumps(
                    {
                        "provider": preset.id,
                        "account_key": "" if record else account_key,
                        "at": to_rfc3339(deps.env.now()),
                    }
                ),
            )
            signed: SignInOutcome | None = None
            try:
                # A keychain that refuses is reported before the user goes to the browser, not after.
                deps.grants.check_writable(account_key)
                signed = methods.sign_in(deps, ready)
                kept, recognised = self._commit(ready, signed)
            except BaseException as error:
                # Who breaks the protocol is not spoken to again, not even to give something back. Bad JSON is not an attack.
                broken = isinstance(error, PeerFault) and error.code != "response_invalid"
                self._give_back(ready, tell=signed is not None or not broken)
                raise
            finally:
                self._quietly(lambda: deps.store.write(name, None))
                deps.locks.retire(lock)
        view = deps.accounts.view(kept.account.key)
        attempt.advance(
            stage="done",
            account=view,
            reconnected=record is not None,
            recognised=recognised,
            narrower=view.narrower_scopes,
        )
        return view

    def undo(self, attempt: Attempt) -> None:
        """For Attempt.undo alone."""
        progress = attempt.progress
        if progress.account is None:
            return
        if progress.reconnected or progress.recognised:
            self._deps.accounts.disconnect(progress.account.key)
        else:
            self._deps.accounts.remove(progress.account.key)

    def interrupted(self) -> list[str]:
        """The providers of sign-ins that a closed or crashed Keyfob left unfinished, each reported once: those younger
        than 30 minutes, to be started again. What they left in the vault is forgotten. Raises KeychainError.
        """
        deps = self._deps
        told: list[str] = []
        for name in deps.store.names("attempt/"):
            if deps.locks.held(f"attempt-{name.removeprefix('attempt/')}"):
                continue
            try:
                body = json.loads(deps.store.read(name) or "{}")
                at = from_rfc3339(body.get("at"))
                key = str(body.get("account_key") or "")
            except ValueError:
                at, key, body = None, "", {}
            if key and deps.store.get(key) is None:
                deps.grants.forget_all(key)
            deps.store.write(name, None)
            deps.locks.retire(f"attempt-{name.removeprefix('attempt/')}")
            if at is not None and deps.env.now() - at < SWEEP_AFTER:
                told.append(str(body.get("provider")))
        return told

    # --- keeping --------------------------------------------------------------------------------------------

    def _commit(self, ready: PreparedSignIn, signed: SignInOutcome) -> tuple[Record, bool]:
        deps = self._deps
        identity = signed.result.identity
        record = ready.record
        if record is not None and not _same_subject(record.account.subject, identity.subject):
            who = identity.name or identity.username or identity.subject
            raise PeerFault(
                f"You signed in as {plain(who, 60)}, not as {record.account.id}",
                code="subject_mismatch",
            )
        if record is not None:
            stored = self._keep(ready, signed, record)
        else:
            # One at a time, or two windows that sign in the same person would each make an account.
            with deps.locks.hold("new-account", timeout=LOCK_WAIT):
                record = self._same_person(ready, signed)
                stored = self._keep(ready, signed, record)
        kind: LoggedKind = "reconnected" if record is not None else "connected"
        words = f"{'Signed in again' if record else 'Connected'} as {identity.name or stored.account.label}"
        # It is kept: a full disk's missing line of history must not have it revoked and forgotten again.
        self._quietly(lambda: deps.events.publish(stored, kind, words))
        deps.describe(stored)
        return stored, ready.record is None and record is not None

    def _keep(self, ready: PreparedSignIn, signed: SignInOutcome, record: Record | None) -> Record:
        """Into the vault, then into the store, under the account's lock. `record`: the account that it renews."""
        deps, attempt = self._deps, ready.attempt
        attempt.advance(stage="saving")
        attempt.commit()
        key = record.account.key if record else ready.account_key
        with deps.locks.hold(lock_name(key), timeout=LOCK_WAIT):
            held = deps.grants.newest_or_none(key)
            generation = max(held.grant.generation if held else 0, record.generation if record else 0) + 1
            grant = replace(signed.result.grant, generation=generation)
            replaced = None
            if record is not None and held is not None and not _same_grant(held.grant, grant):
                replaced = deps.revocations.hold(record, held.grant)
            try:
                stored = self._save(ready, signed, grant, key, record)
            except BaseException:
                if replaced is not None:
                    deps.revocations.drop(replaced)
                raise
            self._quietly(lambda: deps.revocations.hold_pending(key))
            self._quietly(lambda: self._tell_dropped(stored, deps.revocations.trim(key)))
            self._quietly(lambda: deps.store.clear_intent(key))
            return stored

    def _save(
        self, ready: PreparedSignIn, signed: SignInOutcome, grant: Grant, key: str, record: Record | None
    ) -> Record:
        deps = self._deps
        client_before = deps.vault.load(f"{key}/client") if record else None
        deps.labels.expect(key, self._account(ready, signed, key, record).id)
        if signed.secrets != NO_SECRETS:
            deps.vault.save(f"{key}/client", signed.secrets.sealed())
        slot = deps.grants.save(key, grant)
        try:
            return self._write(ready, signed, grant, key, record)
        except BaseException:
            if record is not None:
                self._put_back(key, slot, client_before)
            raise

    def _tell_dropped(self, record: Record, count: int) -> None:
        if count:
            self._deps.events.publish(
                record,
                "revocation_failed",
                f"Keyfob remembers {HELD_MOST} older sign-ins of an account and removed the oldest without revoking it. To end its access, use your account settings at the provider",
            )

    def _quietly(self, write: Callable[[], object]) -> None:
        try:
            write()
        except Fault as fault:
            log.error("the account store: %s", fault.code)

    def _put_back(self, key: str, slot: str, client: Secret | None) -> None:
        """The account as it was: the store could not be written, and the new grant is about to be revoked."""
        deps = self._deps
        try:
            if deps.store.get(key) is None:
                deps.grants.forget_all(key)
                return
            deps.vault.delete(f"{key}/{slot}")
            if client is not None:
                deps.vault.save(f"{key}/client", client)
        except KeyfobError as error:
            log.warning("putting an account back as it was failed: %s", error.code)

    def _write(
        self, ready: PreparedSignIn, signed: SignInOutcome, grant: Grant, key: str, record: Record | None
    ) -> Record:
        deps = self._deps
        now = deps.env.now()
        fresh = self._account(ready, signed, key, record)
        event = SignedIn(
            now,
            fresh,
            grant,
            deps.settings().margin,
            _grant_ends(ready.provider, signed, grant, now),
            signed.key_tail,
        )
        if record is not None:
            changed = deps.store.update(key, partial(after, event=event))
            if changed is None:
                raise NotFound("The account was removed in the meantime")
            return changed
        new = after(Record(fresh, Connected()), event)
        for label in _labels(fresh.label, ready.attempt.request.label):
            try:
                new = after(new, Renamed(label))
                deps.store.put(new)
                return new
            except Usage as error:
                if error.code != "label_taken":
                    raise
        raise Usage(f"The label {fresh.label} is taken", code="label_taken")

    def _account(
        self, ready: PreparedSignIn, signed: SignInOutcome, key: str, record: Record | None
    ) -> Account:
        ctx, identity, provider = signed.context, signed.result.identity, ready.provider
        pin = Pin(
            server=_with_revocation(ctx.server, provider),
            client_id=signed.result.issued_client_id or ctx.client.client_id,
            client_auth=ctx.client.auth,
            redirect_uri=ctx.redirect_uri,
            resource=ctx.resource,
            registration_uri=signed.registration_uri,
            inputs=ready.inputs,
            api_base=signed.api_base or provider.api.base,
            api_hosts=_hosts(provider, ready.method, signed.api_hosts),
            dpop=ctx.dpop_key is not None,
        )
        label = (
            ready.attempt.request.label
            or identity.username
            or identity.email
            or identity.name
            or identity.subject
        )
        return Account(
            key=key,
            provider=provider.id,
            label=label_from(label),
            method=ready.method,
            subject=identity.subject,
            pin=pin,
            name=identity.name or identity.username,
            email=identity.email,
            avatar_url=identity.avatar_url,
            plan=identity.plan,
            asked_scopes=ctx.scopes,
            created_at=record.account.created_at if record else self._deps.env.now(),
        )

    def _same_person(self, ready: PreparedSignIn, signed: SignInOutcome) -> Record | None:
        """The account of the same subject at the same server by the same method: recognised, not doubled."""
        for record in self._deps.store.records():
            account = record.account
            if (
                account.provider == ready.provider.id
                and account.method == ready.method
                and account.subject == signed.result.identity.subject
                and account.pin.server.issuer == signed.context.server.issuer
                and _where(account.pin.inputs) == _where(ready.inputs)
            ):
                return record
        return None

    def _give_back(self, ready: PreparedSignIn, *, tell: bool) -> None:
        """Revoke a grant that was received and is not kept: another user's, a cancelled dialog's, one that the
        keychain refused; and remove the client that was registered for it. With `tell` False both are only deleted here, as
        if the ID token was not valid. Its failure never hides why it is not kept.
        """
        deps, received = self._deps, ready.attempt.received
        if received is not None and tell:
            ctx = received.context
            pin = Pin(ctx.server, ctx.client.client_id, ctx.client.auth, inputs=ready.inputs)
            account = Account(ready.account_key, ready.provider.id, "", ready.method, "", pin)
            deps.revocations.give_back(
                Record(account, Connected()), received.grant, ctx.client, received.secrets.key_id
            )
        if ready.attempt.registered is not None and tell:
            deps.revocations.unregister(ready.provider.id, *ready.attempt.registered)
        if ready.record is None:
            try:
                deps.grants.forget_all(ready.account_key)
            except KeyfobError as error:
                log.info(
                    "what a failed sign-in left in the keychain stays until the next start: %s", error.code
                )

    def _refuse_taken(self, provider: str, label: str) -> None:
        for record in self._deps.store.records():
            if record.account.id == f"{provider}/{label}":
                raise Usage(f"There is an account {record.account.id} already", code="label_taken")


def _with_revocation(server: Server, provider: Provider) -> Server:
    """With the preset's own address for revocations, so that no later preset sends this account's tokens elsewhere."""
    url = provider.revocation.url
    return replace(server, endpoints=replace(server.endpoints, revocation_endpoint=url)) if url else server


def _hosts(provider: Provider, method: Method, told: tuple[str, ...] | None) -> tuple[str, ...]:
    """The hosts besides the API's that this account's tokens may go to: the preset's, and those of its who-am-I."""
    hosts = list(provider.api.hosts if told is None else told)
    for url in identity_urls(provider, method):
        host = urlsplit(url).netloc
        if host not in hosts:
            hosts.append(host)
    return tuple(hosts)


def _refuse_elsewhere(record: Record, inputs: Mapping[str, str]) -> None:
    """Another server's subject of the same name is another person: an account never moves."""
    for name, value in _where(record.account.pin.inputs).items():
        if inputs.get(name, value) != value:
            raise Usage(
                f"{record.account.id} is an account at {plain(value, 60)}",
                remedy=f"Connect {plain(inputs[name], 60)} as a new account.",
            )


def _same_subject(known: str, told: str) -> bool:
    """Whether the browser signed in whom the account belongs to. A provider that names no user cannot be wrong."""
    nameless = (known, told)
    return not known or known == told or any(name.startswith(UNIDENTIFIED) for name in nameless)


def _same_grant(old: Grant, new: Grant) -> bool:
    """Whether a sign-in brought the tokens that were there before, as some providers' do."""
    return old.refresh == new.refresh and (new.refresh is not None or old.access == new.access)


def _where(inputs: Mapping[str, str]) -> dict[str, str]:
    """The inputs that say at which server, without those that say who."""
    return {name: value for name, value in inputs.items() if name not in ("handle", "login", "username")}


def _labels(base: str, asked: str | None) -> list[str]:
    """The label itself, then `-2`, `-3`, … on a clash; only itself if the user asked for it."""
    return [base] if asked else [base, *(f"{base[:60]}-{n}" for n in range(2, 1000))]


def _grant_ends(provider: Provider, signed: SignInOutcome, grant: Grant, now: datetime) -> datetime | None:
    """The day the grant ends whatever is renewed, if the provider is known to have one."""
    told = signed.result.extra.get("grant_ends_in")
    if told is not None:
        return now + timedelta(seconds=float(told))
    if provider.lifetimes.grant is not None:
        return now + timedelta(seconds=provider.lifetimes.grant)
    if (
        provider.lifetimes.refresh is not None
        and provider.lifetimes.rotates is False
        and grant.refresh is not None
    ):
        return now + timedelta(seconds=provider.lifetimes.refresh)
    return None
