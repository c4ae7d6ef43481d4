"""What is known of a sign-in before its flow runs, and what its method brings back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keyfob.core.access import default_access, scopes_for
from keyfob.core.account import Record
from keyfob.core.methods import METHOD_FACTS, Method
from keyfob.core.provider import Provider
from keyfob.ports import Spawn
from keyfob.protocol.context import FlowContext, SignInResult
from keyfob.service.contexts import NO_SECRETS, ClientSecrets
from keyfob.service.sign_in.attempt import Attempt


@dataclass(frozen=True, slots=True)
class PreparedSignIn:
    """An attempt's facts, decided before anything is opened or sent."""

    attempt: Attempt
    provider: Provider  # inputs filled in
    method: Method
    account_key: str
    inputs: Mapping[str, str]
    record: Record | None  # the account to reconnect
    spawn: Spawn

    @property
    def scopes(self) -> tuple[str, ...]:
        """What is asked for. A new account asks for the preset's scopes and for bundles, chosen ones or those
        that are on by default. An account that signs in again asks for what it had, and for what is added.
        """
        request, provider = self.attempt.request, self.provider
        if request.only_scopes:
            return request.only_scopes
        account = self.record.account if self.record else None
        if METHOD_FACTS[self.method].by_client:
            # Who you are and renewal are not for it to ask: only what it is chosen for.
            had = account.asked_scopes if account is not None and account.method == self.method else ()
            base = (*provider.client_credentials.scopes, *had)
            return scopes_for(provider, request.access or (), base=base, further=request.scopes)
        if account is None or not account.asked_scopes or account.method != self.method:
            chosen = default_access(provider) if request.access is None else request.access
            return scopes_for(provider, chosen, base=provider.scopes, further=request.scopes)
        had = account.asked_scopes
        if request.access is None and not request.scopes:
            return had
        base = (*provider.scopes, *had)
        return scopes_for(provider, request.access or (), base=base, further=request.scopes)


@dataclass(frozen=True, slots=True)
class SignInOutcome:
    """What a method brings back: the result and what to pin."""

    result: SignInResult
    context: FlowContext
    secrets: ClientSecrets = NO_SECRETS
    registration_uri: str | None = None
    api_base: str | None = None
    api_hosts: tuple[str, ...] | None = None
    key_tail: str | None = None
