"""The context of a new sign-in: the discovered server, the client to use and the key that the tokens are
bound to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from keyfob.core.errors import PeerFault
from keyfob.core.grant import SigningKey, seal_key, unseal_key
from keyfob.core.provider import Server
from keyfob.core.words import MADE_ALGORITHMS, MadeAlgorithm
from keyfob.ports import Clock, Vault
from keyfob.protocol.context import FlowContext, SignInResult
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.oauth import discovery
from keyfob.service.runner import Runner
from keyfob.service.sign_in.clients import ClientChoice, Clients
from keyfob.service.sign_in.prepared import PreparedSignIn, SignInOutcome


class NewContexts:
    """Blocking and thread-safe. `service.contexts.ContextBuilder` is its counterpart for accounts
    that exist.
    """

    def __init__(
        self,
        runner: Runner,
        clients: Clients,
        vault: Vault,
        new_key: Callable[[MadeAlgorithm], SigningKey],
        env: FlowEnv,
    ) -> None:
        self._runner = runner
        self._clients = clients
        self._vault = vault
        self._new_key = new_key
        self._env = env

    def discover(self, ready: PreparedSignIn, redirect_uri: str | None) -> tuple[FlowContext, ClientChoice]:
        """Ask the server for its metadata, and choose the client. `redirect_uri` is None if no browser comes
        back. Raises what discovery, registration and the vault raise.
        """
        server = self._runner.run(
            discovery.discover(ready.provider),
            cancel=ready.attempt.cancelled,
            plain_host=ready.provider.plain_host,
        )
        choice = self.choose_client(ready, server, redirect_uri)
        scopes = ready.scopes
        if choice.scopes is not None and redirect_uri is not None:
            scopes = tuple(scope for scope in scopes if scope in choice.scopes) or scopes
        context = FlowContext(
            provider=ready.provider,
            server=server,
            client=choice.client,
            env=self._env,
            redirect_uri=redirect_uri,
            scopes=scopes,
            resource=ready.provider.resource,
            inputs=ready.inputs,
        )
        return context, choice

    def at(
        self, ready: PreparedSignIn, server: Server, choice: ClientChoice, redirect_uri: str | None = None
    ) -> FlowContext:
        """The context at a server that needs no discovery."""
        return FlowContext(
            provider=ready.provider,
            server=server,
            client=choice.client,
            env=self._env,
            redirect_uri=redirect_uri,
            scopes=ready.scopes,
            inputs=ready.inputs,
        )

    def choose_client(self, ready: PreparedSignIn, server: Server, redirect_uri: str | None) -> ClientChoice:
        """The client of this attempt. One that was registered for it is noted in the attempt, to be removed
        if it fails.
        """
        attempt = ready.attempt
        choice = self._clients.for_attempt(
            ready.provider, server, attempt.request, ready.inputs, ready.record, redirect_uri, ready.scopes
        )
        if choice.registration_uri is not None and choice.secrets.registration_token is not None:
            attempt.registered = (choice.registration_uri, choice.secrets.registration_token)
        return choice

    def bound(self, context: FlowContext, ready: PreparedSignIn, *, always: bool = False) -> FlowContext:
        """`context` with the key that the tokens will be bound to, if the preset wants one. The key is in the
        vault before anything is sent: a crash after the exchange must find it there.
        """
        alg = binding_algorithm(context, always=always)
        if alg is None:
            return context
        key = self._new_key(alg)
        name = f"{ready.account_key}/dpop"
        self._vault.save(name, seal_key(key))
        kept = self._vault.load(name)
        assert kept is not None
        return replace(context, dpop_key=unseal_key(kept))


def binding_algorithm(context: FlowContext, *, always: bool = False) -> MadeAlgorithm | None:
    """The algorithm of the key that the tokens will be bound to (DPoP); None if the preset wants none. Raises
    PeerFault `metadata_invalid` if the server takes none of ours.
    """
    offered = context.server.dpop_signing_alg_values_supported
    wanted = context.provider.dpop
    if not (always or wanted == "always" or (wanted == "offered" and bool(offered))):
        return None
    usable = [alg for alg in MADE_ALGORITHMS if not offered or alg in offered]
    if not usable:
        raise PeerFault(
            f"{context.provider.title} and Keyfob have no algorithm for DPoP in common",
            code="metadata_invalid",
        )
    return usable[0]


def outcome_of(
    result: SignInResult, context: FlowContext, choice: ClientChoice, clock: Clock
) -> SignInOutcome:
    """With the API's address, if the token answer named it, and with the day on which the client that was
    registered for this account ends, and with it every renewal.
    """
    if choice.secret_expires_at is not None:
        left = (choice.secret_expires_at - clock()).total_seconds()
        result = replace(result, extra={**result.extra, "grant_ends_in": str(max(left, 0.0))})
    base = result.extra.get("api_base")
    return SignInOutcome(result, context, choice.secrets, choice.registration_uri, api_base=base)
