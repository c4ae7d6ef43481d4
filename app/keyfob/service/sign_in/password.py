"""Signing in with a username and a password, at servers that have no better way (RFC 6749 §4.3)."""

from __future__ import annotations

from dataclasses import replace

from keyfob.core.errors import Usage
from keyfob.ports import Clock
from keyfob.protocol.oauth import password
from keyfob.service.runner import Runner
from keyfob.service.sign_in.interaction import Interaction
from keyfob.service.sign_in.new_contexts import NewContexts, outcome_of
from keyfob.service.sign_in.prepared import PreparedSignIn, SignInOutcome


class PasswordSignIn:
    """Blocking and thread-safe."""

    def __init__(self, contexts: NewContexts, interaction: Interaction, runner: Runner, clock: Clock) -> None:
        self._contexts = contexts
        self._interaction = interaction
        self._runner = runner
        self._clock = clock

    def sign_in(self, ready: PreparedSignIn) -> SignInOutcome:
        """Raises Usage if the username or the password is missing; else as `password.password_sign_in`."""
        attempt, username = ready.attempt, ready.inputs.get("username", "")
        secret = attempt.request.password
        if secret is None or not username:
            raise Usage(f"{ready.provider.title} needs a username and a password")
        context, choice = self._contexts.discover(ready, None)
        context = replace(context, resource=None)
        attempt.advance(stage="checking")
        flow = password.password_sign_in(context, username=username, password=secret)
        handlers = self._interaction.handlers(attempt, context, choice.secrets)
        result = self._runner.run(flow, handlers, attempt.cancelled, plain_host=ready.provider.plain_host)
        return outcome_of(result, context, choice, self._clock)
