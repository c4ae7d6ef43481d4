"""Signing in with a key that the user copied from the provider's page."""

from __future__ import annotations

from dataclasses import replace

from keyfob.core.errors import SignInNeeded, Usage
from keyfob.core.grant import Grant
from keyfob.core.key_parts import joined, parts_of
from keyfob.core.provider import Provider
from keyfob.core.secret import Secret
from keyfob.protocol import identity
from keyfob.protocol.context import Client, FlowContext, SignInResult
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.token_placement import api_of
from keyfob.service.runner import Runner
from keyfob.service.sign_in.prepared import PreparedSignIn, SignInOutcome

KEY_MOST = 8192  # characters


class ApiKeySignIn:
    """Blocking and thread-safe."""

    def __init__(self, runner: Runner, env: FlowEnv) -> None:
        self._runner = runner
        self._env = env

    def sign_in(self, ready: PreparedSignIn) -> SignInOutcome:
        """Ask the provider whose key this is. Raises Usage for what cannot be a key, and as
        `identity.identify`.
        """
        provider, request = ready.provider, ready.attempt.request
        now = self._env.now()
        key = _key_in(provider, request.api_key)
        if request.key_expires_at is not None and request.key_expires_at <= now:
            raise Usage("This date is in the past. You cannot use an expired key")
        grant = Grant(access=key, obtained_at=now, expires_at=request.key_expires_at, token_type="ApiKey")  # noqa: S106
        api = api_of(provider, "api_key")
        context = FlowContext(
            provider=provider if api is provider.api else replace(provider, api=api),
            server=provider.default_server(),
            client=Client(None),
            env=self._env,
            inputs=ready.inputs,
        )
        ready.attempt.advance(stage="checking")
        flow = identity.identify(context, grant, claims=None, method="api_key")
        try:
            who = self._runner.run(flow, cancel=ready.attempt.cancelled, plain_host=provider.plain_host)
        except SignInNeeded as refused:
            raise SignInNeeded(refused.message, code="key_refused", detail=refused.detail) from refused
        return SignInOutcome(
            SignInResult(grant, who), context, api_base=api.base, api_hosts=api.hosts, key_tail=key.tail()
        )


def _key_in(provider: Provider, entered: Secret | None) -> Secret:
    key = Secret(entered.reveal().strip()) if entered is not None else Secret("")
    if not key:
        raise Usage(f"{provider.title} needs a key", code="key_missing")
    second = api_of(provider, "api_key").second
    if second is not None:
        parts = parts_of(key)
        if len(parts) != 2:
            raise Usage(f"{provider.title} needs both: the key and the {second.title}", code="key_missing")
        key = joined(*parts)
    if not key.reveal().isascii() or not key.reveal().isprintable() or len(key) > KEY_MOST:
        raise Usage("This is not a key. A key is one line of plain letters, digits and symbols")
    return key
