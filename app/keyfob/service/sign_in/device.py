"""Signing in on another screen, with a code (RFC 8628)."""

from __future__ import annotations

from keyfob.ports import Clock
from keyfob.protocol.oauth import device
from keyfob.service.runner import Runner
from keyfob.service.sign_in.interaction import Interaction
from keyfob.service.sign_in.new_contexts import NewContexts, outcome_of
from keyfob.service.sign_in.prepared import PreparedSignIn, SignInOutcome


class DeviceSignIn:
    """Blocking and thread-safe."""

    def __init__(self, contexts: NewContexts, interaction: Interaction, runner: Runner, clock: Clock) -> None:
        self._contexts = contexts
        self._interaction = interaction
        self._runner = runner
        self._clock = clock

    def sign_in(self, ready: PreparedSignIn) -> SignInOutcome:
        """Raises as `device.device_code`."""
        context, choice = self._contexts.discover(ready, None)
        context = self._contexts.bound(context, ready)
        handlers = self._interaction.handlers(ready.attempt, context, choice.secrets)
        result = self._runner.run(
            device.device_code(context),
            handlers,
            ready.attempt.cancelled,
            plain_host=ready.provider.plain_host,
        )
        return outcome_of(result, context, choice, self._clock)
