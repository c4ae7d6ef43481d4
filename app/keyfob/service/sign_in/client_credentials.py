"""Connecting a service account of one's own (RFC 6749 §4.4)."""

from __future__ import annotations

from keyfob.ports import Clock
from keyfob.protocol.oauth import client_credentials
from keyfob.service.runner import Runner
from keyfob.service.sign_in.interaction import Interaction
from keyfob.service.sign_in.new_contexts import NewContexts, outcome_of
from keyfob.service.sign_in.prepared import PreparedSignIn, SignInOutcome


class ClientCredentialsSignIn:
    """Blocking and thread-safe."""

    def __init__(self, contexts: NewContexts, interaction: Interaction, runner: Runner, clock: Clock) -> None:
        self._contexts = contexts
        self._interaction = interaction
        self._runner = runner
        self._clock = clock

    def sign_in(self, ready: PreparedSignIn) -> SignInOutcome:
        """Raises SettingWrong `client_missing` without an id and a secret; else as
        `client_credentials.client_credentials`.
        """
        context, choice = self._contexts.discover(ready, None)
        context = self._contexts.bound(context, ready)
        ready.attempt.advance(stage="checking")
        handlers = self._interaction.handlers(ready.attempt, context, choice.secrets)
        flow = client_credentials.client_credentials(context)
        result = self._runner.run(
            flow, handlers, ready.attempt.cancelled, plain_host=ready.provider.plain_host
        )
        return outcome_of(result, context, choice, self._clock)
