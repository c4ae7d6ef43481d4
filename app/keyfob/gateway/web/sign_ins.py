"""A sign-in in its two halves: to the provider, and back.

The flows are those of `keyfob.protocol`. Between the halves, what they need is in the database, so any
server may finish what another began.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import urlsplit

from keyfob.core.access import default_access, scopes_for
from keyfob.core.account import Account, Connected, Record
from keyfob.core.errors import KeyfobError, NotFound, PeerFault, SettingWrong, Usage
from keyfob.core.grant import Grant
from keyfob.core.hosts import is_inside
from keyfob.core.http import Callback
from keyfob.core.methods import Method
from keyfob.core.provider import Input, Provider, Server
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.engine import WebPorts
from keyfob.gateway.web.clients import Clients
from keyfob.gateway.web.database import database
from keyfob.gateway.web.revoking import Revoking
from keyfob.gateway.web.settings import AppRegistration, WebSettings
from keyfob.gateway.web.states import Begun, States
from keyfob.gateway.web.targets import is_own_path
from keyfob.protocol.atproto import sign_in as atproto
from keyfob.protocol.context import FlowContext, SignInResult
from keyfob.protocol.effects import Expectation, Flow
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.oauth import authorize, discovery
from keyfob.protocol.oauth.callback import Refused, Visit, Why, judge, read_query
from keyfob.providers.substitute import fill, normalised
from keyfob.service.contexts import ClientSecrets
from keyfob.service.runner import EffectHandlers, Runner
from keyfob.service.sign_in.browser import STATE_BYTES, VERIFIER_BYTES
from keyfob.service.sign_in.new_account import account_from, pin_of
from keyfob.service.sign_in.new_contexts import binding_algorithm
from keyfob.service.sign_in.prepared import SignInOutcome

T = TypeVar("T")
SERVER_KNOWN_FOR = timedelta(minutes=10)
SERVERS_MOST = 500
_PLC = "plc"  # an input of tests and private networks: the directory of identities
_METHODS: tuple[Method, ...] = ("atproto", "oauth")
_STATE = re.compile(r"[A-Za-z0-9_-]{1,200}")


class NotThisBrowserError(KeyfobError):
    """A callback that belongs to no sign-in of this browser: another's, an old one, or one that was used."""

    exit_code = 6
    default_code = "state_mismatch"


@dataclass(frozen=True, slots=True)
class Finished:
    """A sign-in that a provider has confirmed. Nothing is stored yet."""

    app: str
    record: Record
    client: ClientSecrets
    grant: Grant
    context: FlowContext
    return_to: str


class SignIns:
    """Blocking and thread-safe."""

    def __init__(
        self,
        settings: WebSettings,
        ports: WebPorts,
        runner: Runner,
        env: FlowEnv,
        clients: Clients,
        states: States,
        revoking: Revoking,
    ) -> None:
        self._settings, self._ports, self._runner, self._env = settings, ports, runner, env
        self._clients, self._states, self._revoking = clients, states, revoking
        self._servers: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[datetime, Server]] = {}
        self._guard = threading.Lock()

    # --- to the provider ------------------------------------------------------------------------------------

    def begin(self, name: str, inputs: Mapping[str, str], return_to: str, browser: str) -> Secret:
        """The address to send the browser to. `browser` is the id in its cookie. Raises NotFound, Usage for
        what the person entered and for a `return_to` that leads elsewhere, and as the flows do.
        """
        app = self._settings.app(name)
        if app is None:
            raise NotFound(f"There is no sign-in called {plain(name, 60)}", code="provider_not_found")
        if not is_own_path(return_to, self._settings.origin):
            raise Usage("The page to go back to is not on this server")
        context, resolved, secrets = self._context(app, inputs)
        state, verifier = self._ports.entropy(STATE_BYTES), Secret(self._ports.entropy(VERIFIER_BYTES))
        nonce = Secret(self._ports.entropy(STATE_BYTES)) if "openid" in context.scopes else None
        begun = Begun(
            app=app.id,
            record=self._record(app, context, resolved),
            return_to=return_to,
            code_verifier=verifier,
            nonce=nonce,
            dpop_key=context.dpop_key,
            client=secrets,
            handle=resolved.handle if resolved else None,
            near=resolved.near if resolved else False,
        )
        if resolved is not None:
            flow = atproto.authorization_address(
                context, resolved, state=Secret(state), code_verifier=verifier
            )
        else:
            flow = authorize.authorization_address(
                context, state=Secret(state), nonce=nonce, code_verifier=verifier
            )
        address = self._run(flow, begun.record)
        with database():
            self._states.add(state, browser, begun, self._env.now())
        return address

    def _context(
        self, app: AppRegistration, inputs: Mapping[str, str]
    ) -> tuple[FlowContext, atproto.Resolved | None, ClientSecrets]:
        preset = self._ports.presets.get(app.provider)
        method = method_of(preset)
        values = _inputs(preset, method, app, inputs)
        provider = fill(preset, {k: v for k, v in values.items() if k != _PLC})
        resolved = self._resolved(values) if method == "atproto" else None
        server = resolved.server if resolved else self._server(provider, values)
        scopes = scopes_for(provider, default_access(provider), base=provider.scopes)
        scopes = scopes if app.scopes is None else tuple(app.scopes)
        with database():
            client, secrets = self._clients.for_sign_in(app, provider, server, values, scopes)
        context = FlowContext(
            provider=provider,
            server=server,
            client=client,
            env=self._env,
            redirect_uri=self._settings.callback_url,
            scopes=scopes,
            resource=provider.resource,
            inputs=values,
        )
        alg = binding_algorithm(context, always=method == "atproto")
        return replace(context, dpop_key=self._ports.new_key(alg) if alg else None), resolved, secrets

    def _record(
        self, app: AppRegistration, context: FlowContext, resolved: atproto.Resolved | None
    ) -> Record:
        """What is pinned from here on. Its subject is known only for a handle."""
        method: Method = "atproto" if resolved is not None else "oauth"
        pin = pin_of(context, method)
        if resolved is not None:
            pin = replace(pin, api_base=resolved.pds)
        subject = (resolved.did if resolved else None) or ""
        key, provider = self._ports.entropy(12), context.provider.id
        account = Account(key, provider, app.id, method, subject, pin, asked_scopes=context.scopes)
        return Record(account, Connected())

    def _run(self, flow: Flow[T], record: Record, handlers: EffectHandlers | None = None) -> T:
        """The flow's value. A client that the server does not know any more is registered anew next time."""
        try:
            return self._runner.run(flow, handlers)
        except SettingWrong as refused:
            if refused.code == "client_refused":
                with database():
                    self._clients.forget(record)
            raise

    def _resolved(self, values: Mapping[str, str]) -> atproto.Resolved:
        identifier = values.get("handle") or values.get("instance") or ""
        plc = values.get(_PLC) or atproto.PLC_DIRECTORY
        flow = atproto.resolve(identifier, plc=plc, dns_txt=self._ports.dns_txt, stranger=True)
        return self._runner.run(flow)

    def _server(self, provider: Provider, values: Mapping[str, str]) -> Server:
        key, now = (provider.id, tuple(sorted(values.items()))), self._env.now()
        with self._guard:
            known = self._servers.get(key)
        if known is not None and abs(now - known[0]) < SERVER_KNOWN_FOR:
            return known[1]
        server = self._runner.run(discovery.discover(provider))
        with self._guard:
            if len(self._servers) >= SERVERS_MOST:
                self._servers.clear()
            self._servers[key] = (now, server)
        return server

    # --- and back -------------------------------------------------------------------------------------------

    def finish(self, path: str, query: str, browser: str | None) -> Finished:
        """What the browser brought back, exchanged and checked. `path`: the request's. Raises
        NotThisBrowserError, PeerFault for another server's answer, and as the flows do.
        """
        state = _state_in(path.removeprefix(urlsplit(self._settings.callback_url).path), query)
        now = self._env.now()
        with database():
            begun = self._states.find(state, browser, now) if state and browser else None
        if begun is None or state is None:
            raise NotThisBrowserError("This sign-in did not begin in this browser, or it is over")
        app = self._settings.app(begun.app)
        context = self._clients.context(app, begun.record, begun.client, begun.dpop_key)
        resolved = _resolved_again(begun) if begun.record.account.method == "atproto" else None
        awaited = _expectation(context, resolved, Secret(state))
        accepted = judge(Visit(path, query), awaited)
        if isinstance(accepted, Refused):
            # The state stays: whoever sent this does not end the sign-in of the person.
            if accepted.why is Why.ISSUER:
                raise PeerFault("A different server answered", code="issuer_mismatch")
            raise NotThisBrowserError("The address that the browser came back to has no answer in it")
        with database():
            first = self._states.use_up(state)
        if not first:
            raise NotThisBrowserError("This sign-in is over already")
        callback = Callback(accepted.params, now)
        return self._exchanged(begun, context, resolved, Secret(state), callback)

    def _exchanged(
        self,
        begun: Begun,
        context: FlowContext,
        resolved: atproto.Resolved | None,
        state: Secret,
        callback: Callback,
    ) -> Finished:
        received: list[Grant] = []
        flow: Flow[SignInResult]
        if resolved is not None:
            plc = context.inputs.get(_PLC) or atproto.PLC_DIRECTORY
            flow = atproto.authorized(
                context, resolved, callback,
                code_verifier=begun.code_verifier, plc=plc, dns_txt=self._ports.dns_txt,
            )  # fmt: skip
        else:
            flow = authorize.authorized(
                context, callback, state=state, nonce=begun.nonce, code_verifier=begun.code_verifier
            )
        try:
            result = self._run(flow, begun.record, EffectHandlers(keep=received.append))
        except KeyfobError as error:
            # Who breaks the protocol is not spoken to again, not even to give something back.
            broken = isinstance(error, PeerFault) and error.code != "response_invalid"
            if received and not broken:
                self._revoking.revoke_quietly(context, received[-1])
            raise
        base = result.extra.get("pds") or result.extra.get("api_base")
        hosts = () if resolved is not None else None
        outcome = SignInOutcome(result, context, begun.client, api_base=base, api_hosts=hosts)
        before = begun.record.account
        account = account_from(before.method, outcome, before.key, None, callback.at)
        return Finished(
            begun.app, Record(account, Connected()), begun.client, result.grant, context, begun.return_to
        )


def method_of(preset: Provider) -> Method:
    """How a person signs in on the web. Raises SettingWrong if the preset has no browser sign-in."""
    for method in _METHODS:
        if method in preset.methods:
            return method
    raise SettingWrong(f"{preset.title} has no sign-in with a browser", code="method_not_offered")


def _inputs(
    preset: Provider, method: Method, app: AppRegistration, given: Mapping[str, str]
) -> dict[str, str]:
    values: dict[str, str] = {}
    for wanted in preset.inputs_for(method):
        if wanted.name in app.inputs:
            values[wanted.name] = normalised(wanted, app.inputs[wanted.name])
        elif wanted.name in app.ask:
            values[wanted.name] = _persons(wanted, given.get(wanted.name, ""))
        elif wanted.default is not None:
            values[wanted.name] = wanted.default
        else:
            raise SettingWrong(f"{preset.title} needs {wanted.title.lower()} in its app registration")
    if _PLC in app.inputs:
        values[_PLC] = app.inputs[_PLC]
    return values


def _persons(wanted: Input, value: str) -> str:
    """An input that anybody may send: never an address of this server's own network."""
    text = normalised(wanted, value)
    host = urlsplit(text if "://" in text else f"https://{text}").hostname
    if wanted.kind != "handle" and is_inside(host):
        raise Usage(f"{wanted.title} is on the server's own network", code="input_missing")
    return text


def _state_in(below: str, query: str) -> str | None:
    """The state of a callback: in the query, or the last part of the path."""
    params = read_query(query)
    state = None if isinstance(params, Refused) else params.get("state")
    state = below.removeprefix("/") or state if below.startswith("/") else state
    return state if state and _STATE.fullmatch(state) else None


def _resolved_again(begun: Begun) -> atproto.Resolved:
    account = begun.record.account
    pin = account.pin
    return atproto.Resolved(pin.server, account.subject or None, begun.handle, pin.api_base, near=begun.near)


def _expectation(context: FlowContext, resolved: atproto.Resolved | None, state: Secret) -> Expectation:
    if resolved is not None:
        return atproto.awaited(context, resolved, state)
    return authorize.expectation(context, state)
