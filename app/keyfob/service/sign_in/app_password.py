"""Signing in for an app password, by Nextcloud's Login Flow v2."""

from __future__ import annotations

from dataclasses import replace

from keyfob.core.secret import Secret
from keyfob.protocol import identity, nextcloud
from keyfob.protocol.context import Client, FlowContext
from keyfob.protocol.env import FlowEnv
from keyfob.service.contexts import NO_SECRETS
from keyfob.service.runner import Runner
from keyfob.service.sign_in.attempt import UnsavedGrant
from keyfob.service.sign_in.interaction import Interaction
from keyfob.service.sign_in.prepared import PreparedSignIn, SignInOutcome


class AppPasswordSignIn:
    """Blocking and thread-safe."""

    def __init__(self, interaction: Interaction, runner: Runner, env: FlowEnv) -> None:
        self._interaction = interaction
        self._runner = runner
        self._env = env

    def sign_in(self, ready: PreparedSignIn) -> SignInOutcome:
        """Raises as `nextcloud.app_password` and `identity.identify`."""
        attempt, provider = ready.attempt, ready.provider
        context = FlowContext(
            provider, provider.default_server(), Client(None), self._env, inputs=ready.inputs
        )
        attempt.advance(deadline=self._env.now() + nextcloud.LIFE)
        handlers = self._interaction.handlers(attempt, context, NO_SECRETS)

        def open_and_wait(url: Secret) -> None:
            self._interaction.open_browser(attempt, url, provider.plain_host)
            attempt.advance(stage="waiting")

        result = self._runner.run(
            nextcloud.app_password(context),
            replace(handlers, open_browser=open_and_wait),
            attempt.cancelled,
            plain_host=provider.plain_host,
        )
        # The login name is part of what opens the account, and without it the password cannot be given back.
        context = replace(context, inputs={**ready.inputs, "login": result.extra["login"]})
        attempt.received = UnsavedGrant(result.grant, context, NO_SECRETS)
        attempt.advance(stage="checking")
        # The login name says who may enter; who that is, the server
        # itself says, as it will at each later test.
        flow = identity.identify(context, result.grant, claims=None, method="app_password")
        who = self._runner.run(flow, cancel=attempt.cancelled, plain_host=provider.plain_host)
        return SignInOutcome(replace(result, identity=who), context, api_base=result.extra.get("server"))
