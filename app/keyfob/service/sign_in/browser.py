"""Signing in with the browser: the authorization code grant (RFC 6749 §4.1)."""

from __future__ import annotations

from keyfob.core.secret import Secret
from keyfob.ports import Clock, Entropy
from keyfob.protocol.oauth import authorize
from keyfob.service.runner import Runner
from keyfob.service.sign_in.interaction import Interaction
from keyfob.service.sign_in.new_contexts import NewContexts, outcome_of
from keyfob.service.sign_in.prepared import PreparedSignIn, SignInOutcome

STATE_BYTES = 24  # 192 bits; S256's own minimum is 128
VERIFIER_BYTES = 48  # 64 characters of base64url, between RFC 7636 §4.1's 43 and 128


class BrowserSignIn:
    """Blocking and thread-safe."""

    def __init__(
        self,
        contexts: NewContexts,
        interaction: Interaction,
        runner: Runner,
        entropy: Entropy,
        clock: Clock,
    ) -> None:
        self._contexts = contexts
        self._interaction = interaction
        self._runner = runner
        self._entropy = entropy
        self._clock = clock

    def sign_in(self, ready: PreparedSignIn) -> SignInOutcome:
        """Raises as `authorize.authorization_code`, and what the listener and the browser raise."""
        attempt = ready.attempt
        listener = self._interaction.listen(ready)
        context, choice = self._contexts.discover(ready, listener.redirect_uri)
        context = self._contexts.bound(context, ready)
        openid = "openid" in context.scopes and context.provider.nonce
        flow = authorize.authorization_code(
            context,
            state=Secret(self._entropy(STATE_BYTES)),
            nonce=Secret(self._entropy(STATE_BYTES)) if openid else None,
            code_verifier=Secret(self._entropy(VERIFIER_BYTES)),
            # For reconnecting: spares the user choosing, and choosing the wrong account.
            login_hint=ready.record.account.email if ready.record else None,
        )
        handlers = self._interaction.handlers_with(listener, attempt, context, choice.secrets)
        result = self._runner.run(flow, handlers, attempt.cancelled, plain_host=ready.provider.plain_host)
        return outcome_of(result, context, choice, self._clock)
