"""A renewal's one request to the account's token endpoint (RFC 6749 §6, or §4.4 for a service account)."""

from __future__ import annotations

from collections.abc import Callable

from keyfob.core.account import Record
from keyfob.core.grant import Grant
from keyfob.protocol.context import FlowContext
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.oauth import client_credentials, renewal
from keyfob.service.contexts import ContextBuilder
from keyfob.service.runner import EffectHandlers, Runner


class TokenEndpoint:
    """Blocking and thread-safe. Sends, and stores nothing itself."""

    def __init__(self, contexts: ContextBuilder, runner: Runner, env: FlowEnv) -> None:
        self._contexts = contexts
        self._runner = runner
        self._env = env

    def context(self, record: Record, grant: Grant) -> FlowContext:
        """All that the request needs. Raises SignInNeeded `preset_changed`, NotFound, KeychainError."""
        return self._contexts.for_account(record, grant)

    def renew(
        self, context: FlowContext, record: Record, grant: Grant, keep: Callable[[Grant], None]
    ) -> Grant:
        """Send the refresh token once, or ask as a service account does. `keep` is called with what the
        provider gave before anything in it is checked. Raises what `protocol.oauth.renewal.renew`,
        `client_credentials.ask_again` and `keep` raise.
        """
        if grant.by_client:
            flow = client_credentials.ask_again(context, grant)
        else:
            flow = renewal.renew(context, grant, subject=record.account.subject)
        return self._runner.run(flow, EffectHandlers(keep=keep), plain_host=context.provider.plain_host)
