"""What is known of a sign-in before its flow runs, and what its method brings back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keyfob.core.account import Record
from keyfob.core.methods import Method
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
        """As asked now, as the account had them, or the preset's."""
        if self.attempt.request.scopes:
            return self.attempt.request.scopes
        account = self.record.account if self.record else None
        if account is not None and account.asked_scopes and account.method == self.method:
            return account.asked_scopes
        return self.provider.scopes


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
