"""Ends tokens at their provider (RFC 7009, or the provider's own way)."""

from __future__ import annotations

import logging

from keyfob.core.errors import KeyfobError
from keyfob.core.grant import Grant
from keyfob.protocol.context import FlowContext
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.oauth.revoke import revoke
from keyfob.service.accounts.revocations import tokens_to_revoke
from keyfob.service.runner import Runner

log = logging.getLogger("keyfob.gateway.web")


class Revoking:
    """Blocking and thread-safe."""

    def __init__(self, runner: Runner, env: FlowEnv) -> None:
        self._runner, self._env = runner, env

    def revoke(self, context: FlowContext, grant: Grant) -> None:
        """Ask the provider. Raises Transient if it should be asked again, and other KeyfobErrors if it
        refuses.
        """
        for token, hint in tokens_to_revoke(context, grant):
            expired = hint == "access_token" and grant.expired(self._env.now())
            self._runner.run(revoke(context, token, hint, expired=expired))

    def revoke_quietly(self, context: FlowContext, grant: Grant) -> None:
        """The same for tokens that nothing will use. Raises nothing."""
        try:
            self.revoke(context, grant)
        except KeyfobError as error:
            log.info("tokens of a sign-in that failed were not revoked: %s", error.code)
