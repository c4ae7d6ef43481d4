"""Signing in at Bluesky and other atproto servers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from keyfob.core.hosts import is_inside
from keyfob.core.secret import Secret
from keyfob.ports import Entropy
from keyfob.protocol.atproto import sign_in as atproto
from keyfob.protocol.context import Client
from keyfob.service.runner import Runner
from keyfob.service.sign_in.browser import STATE_BYTES, VERIFIER_BYTES
from keyfob.service.sign_in.clients import ClientChoice, Clients
from keyfob.service.sign_in.interaction import Interaction
from keyfob.service.sign_in.new_contexts import NewContexts
from keyfob.service.sign_in.prepared import PreparedSignIn, SignInOutcome

# The reference server ends a public client's session two weeks after it began, whatever is renewed.
SESSION_CAP = {"grant_ends_in": str(14 * 86_400)}


class AtprotoSignIn:
    """Blocking and thread-safe."""

    def __init__(
        self,
        contexts: NewContexts,
        clients: Clients,
        interaction: Interaction,
        runner: Runner,
        entropy: Entropy,
        dns_txt: Callable[[str], tuple[str, ...]],
    ) -> None:
        self._contexts = contexts
        self._clients = clients
        self._interaction = interaction
        self._runner = runner
        self._entropy = entropy
        self._dns_txt = dns_txt

    def sign_in(self, ready: PreparedSignIn) -> SignInOutcome:
        """Raises as `atproto.resolve` and `atproto.sign_in`."""
        attempt = ready.attempt
        listener = self._interaction.listen(ready)
        resolved = self._resolve(ready)
        choice = ClientChoice(Client(atproto.loopback_client_id(listener.redirect_uri, ready.scopes)))
        if attempt.request.client_id or self._clients.known(ready.provider, ready.inputs) is not None:
            # A hosted client metadata document, and with it perhaps a key.
            choice = self._contexts.choose_client(ready, resolved.server, listener.redirect_uri)
        context = self._contexts.at(ready, resolved.server, choice, listener.redirect_uri)
        context = self._contexts.bound(context, ready, always=True)
        flow = atproto.sign_in(
            context,
            resolved,
            state=Secret(self._entropy(STATE_BYTES)),
            code_verifier=Secret(self._entropy(VERIFIER_BYTES)),
            plc=_plc(ready),
            dns_txt=self._dns_txt,
        )
        handlers = self._interaction.handlers_with(listener, attempt, context, choice.secrets)
        result = self._runner.run(flow, handlers, attempt.cancelled)
        if ready.provider.lifetimes.grant is None:
            result = replace(result, extra={**result.extra, **SESSION_CAP})
        return SignInOutcome(result, context, choice.secrets, api_base=result.extra.get("pds"), api_hosts=())

    def _resolve(self, ready: PreparedSignIn) -> atproto.Resolved:
        identifier, near = ready.inputs.get("handle") or ready.inputs.get("instance") or "", False
        if ready.record is not None and ready.record.account.subject:
            identifier = ready.record.account.subject  # the DID: a handle may have changed hands
            near = is_inside(urlsplit(ready.record.account.pin.server.issuer or "").hostname)
        flow = atproto.resolve(identifier, plc=_plc(ready), dns_txt=self._dns_txt, near=near)
        return self._runner.run(flow, cancel=ready.attempt.cancelled)


def _plc(ready: PreparedSignIn) -> str:
    return ready.inputs.get("plc") or atproto.PLC_DIRECTORY
