"""Runs a sign-in of one preset, a renewal and a revocation against the played provider.

The engine is a real one: its store, keychain and settings are in a temporary folder and in memory.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from keyfob.core.account import Account
from keyfob.core.errors import KeyfobError, SettingWrong
from keyfob.core.hosts import is_loopback
from keyfob.core.key_parts import joined
from keyfob.core.methods import METHOD_FACTS, Method, holds_key
from keyfob.core.provider import EMPTY, Provider
from keyfob.core.resources import resources
from keyfob.core.secret import Secret
from keyfob.core.settings import Settings
from keyfob.demo.trial import atproto, made_up
from keyfob.demo.trial.provider import PlayedProvider
from keyfob.demo.trial.shown import ShownRequest, shown
from keyfob.demo.trial.wire import Asked, Given, TrialTransport, serving
from keyfob.engine import Engine, build, memory_vault, on_a_thread, system_ports
from keyfob.process.home import open_home
from keyfob.protocol.identity import UNIDENTIFIED
from keyfob.providers.catalogue import Catalogue
from keyfob.service.accounts.views import SignInRequest
from keyfob.service.sign_in.attempt import Attempt

TIMEOUT = 30.0  # seconds that the browser has; the trial's needs none of them
# The preset's key that is most likely at fault, by the code of the error.
AT_FAULT = {
    "identity_invalid": "identity.map.subject",
    "openid_needed": "identity",
    "issuer_mismatch": "issuer",
    "metadata_invalid": "discovery",
    "endpoint_unsafe": "endpoints",
    "pkce_unsupported": "pkce",
    "id_token_invalid": "issuer",
    "client_missing": "policy.client_id",
    "client_key_missing": "client.auth",
    "registration_changed": "policy.client_id",
    "port_taken": "redirect.port",
    "subject_mismatch": "identity.map.subject",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One part of the trial (`sign-in`, `renewal`, `revocation`) and the requests that it sent."""

    name: str
    requests: tuple[ShownRequest, ...]
    error: KeyfobError | None = None
    at_fault: str | None = None  # the preset's key
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of it. `identity`: who was identified, by the names of a preset's map; empty if nobody."""

    provider: Provider
    method: Method
    steps: tuple[Step, ...]
    identity: Mapping[str, str] = field(default_factory=lambda: EMPTY)

    @property
    def failed(self) -> Step | None:
        """The step that failed, if one did."""
        return next((step for step in self.steps if step.error is not None), None)


class _OnePreset(Catalogue):
    """A catalogue that knows this provider alone."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(resources() / "providers")
        self._provider = provider

    def get(self, provider_id: str) -> Provider:
        return self._provider

    def all(self) -> list[Provider]:
        return [self._provider]


def run(
    provider: Provider,
    method: Method,
    *,
    inputs: Mapping[str, str] = EMPTY,
    access: tuple[str, ...] | None = None,
    callback_port: int | None = None,
) -> Trial:
    """The whole trial. Blocks for a second or two. Raises Usage for inputs that do not fit. The result has
    what a step raises.
    """
    provider = _for_made_up(provider)
    given = {
        **{
            each.name: each.default or each.example
            for each in provider.inputs_for(method)
            if each.default != ""
        },
        **inputs,
    }
    with tempfile.TemporaryDirectory(prefix="keyfob-trial-") as folder:
        home = open_home({"KEYFOB_HOME": str(Path(folder) / "home")})
        ports = system_ports(home, vault=memory_vault())
        if callback_port is not None:
            ports.settings.save(Settings(callback_port=callback_port), Settings())
        box: list[PlayedProvider] = []
        with serving(lambda asked: _answer(box, asked)) as port:
            transport = TrialTransport(ports.transport, port)
            browser = _Browser(transport)
            engine = build(
                replace(
                    ports,
                    transport=transport,
                    presets=_OnePreset(provider),
                    browser=browser,
                    dns_txt=atproto.dns_txt,
                    environment={},
                )
            )
            try:
                request = _request(provider, method, given, access)
                filled = engine.clients.filled(provider, engine.clients.inputs(provider, request, None))
                handle = given.get("handle", "").removeprefix("@")
                if ":" in handle or not handle:
                    handle = made_up.HANDLE
                played = PlayedProvider(filled, method, ports.new_key("ES256"), ports.clock, handle)
                box.append(played)
                if provider.client.auth == "private_key_jwt":
                    engine.client_keys.generate(provider=provider.id)
                return _Run(engine, provider, method, transport, played, browser).all(request)
            finally:
                engine.close()


def _answer(box: list[PlayedProvider], asked: Asked) -> Given:
    return box[0].answer(asked) if box else Given(503, {"error": "temporarily_unavailable"})


def _for_made_up(provider: Provider) -> Provider:
    """The preset without what a made-up client id or key would not fit."""
    key = provider.api_key
    if key is not None:
        second = None if key.api.second is None else replace(key.api.second, pattern=None)
        key = replace(key, pattern=None, api=replace(key.api, second=second))
    client = replace(provider.client, id_pattern=None, env=EMPTY)
    return replace(provider, client=client, api_key=key)


def _request(
    provider: Provider, method: Method, inputs: Mapping[str, str], access: tuple[str, ...] | None
) -> SignInRequest:
    facts = METHOD_FACTS[method]
    wants = facts.asks_for
    registered = facts.by_client or (facts.needs_client and provider.policy.client_id in ("user", "keyfob"))
    secret = registered and provider.secret_rule(method) == "required"
    key = Secret(made_up.API_KEY)
    if provider.api_key is not None and provider.api_key.api.second is not None:
        key = joined(key, Secret(made_up.KEY_SECOND))
    return SignInRequest(
        provider.id,
        method,
        access=access,
        inputs={**inputs, **({"username": "alice"} if wants == "password" else {})},
        api_key=key if wants == "api_key" else None,
        password=Secret(made_up.PASSWORD) if wants == "password" else None,
        client_id=made_up.CLIENT_ID if registered else None,
        client_secret=Secret(made_up.CLIENT_SECRET) if secret else None,
        timeout=TIMEOUT,
    )


class _Browser:
    """ports.Browser: allows access at once, and comes back to Keyfob as a browser does."""

    def __init__(self, transport: TrialTransport) -> None:
        self._transport = transport
        self.attempt: Attempt | None = None

    def __call__(self, url: str) -> None:
        threading.Thread(target=self._open, args=(url,), name="trial browser", daemon=True).start()

    def _open(self, url: str) -> None:
        try:
            back = self._transport.browse(url).headers.get("location", "")
            if is_loopback(urlsplit(back).hostname):
                self._transport.visit(back)
            elif self.attempt is not None and back:
                self.attempt.paste(self._pasted(back))
            elif self.attempt is not None and self.attempt.progress.method != "app_password":
                self.attempt.cancel()
        except KeyfobError:
            if self.attempt is not None:
                self.attempt.cancel()

    def _pasted(self, back: str) -> str:
        params = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
        match self.attempt.progress.paste if self.attempt else None:
            case "code":
                return params.get("code", "")
            case "code#state":
                return f"{params.get('code', '')}#{params.get('state', '')}"
        return back


@dataclass(frozen=True, slots=True)
class _Run:
    engine: Engine
    provider: Provider
    method: Method
    transport: TrialTransport
    played: PlayedProvider
    browser: _Browser

    def all(self, request: SignInRequest) -> Trial:
        steps = [self._step("sign-in", lambda: self._sign_in(request))]
        if steps[0].error is not None:
            return Trial(self.provider, self.method, tuple(steps))
        account = self.engine.store.records()[0].account
        if self.engine.accounts.view(account.key).renewable:
            steps.append(self._step("renewal", lambda: self._renew(account)))
        if METHOD_FACTS[self.method].revocable:
            steps.append(self._step("revocation", lambda: self._disconnect(account)))
        return Trial(self.provider, self.method, tuple(steps), _identity(account))

    def _sign_in(self, request: SignInRequest) -> str | None:
        attempt = self.engine.sign_in.begin(request)
        self.browser.attempt = attempt
        self.engine.sign_in.run(attempt, on_a_thread)
        return None

    def _renew(self, account: Account) -> str | None:
        self.engine.accounts.renew(account.key)
        return None

    def _disconnect(self, account: Account) -> str | None:
        ended = self.engine.accounts.disconnect(account.key)
        words = {
            "yes": "confirmed",
            "pending": "not confirmed",
            "unsupported": "not possible with this preset",
        }
        return words[ended.revoked]

    def _step(self, name: str, work: Callable[[], str | None]) -> Step:
        before, refusals_before = len(self.transport.exchanges), len(self.played.refusals)
        error: KeyfobError | None = None
        outcome: str | None = None
        try:
            outcome = work()
        except KeyfobError as raised:
            error = raised
        sent = self.transport.exchanges[before:]
        requests = tuple(shown(each, self.played.secrets) for each in sent)
        refusals = self.played.refusals[refusals_before:]
        if error is None and not refusals:
            return Step(name, requests, outcome=outcome)
        if refusals:
            key, why = refusals[0]
            refused_so = SettingWrong(f"The provider would refuse the {name}: {why}", code="preset_faulty")
            return Step(name, requests, refused_so, key or None)
        return Step(name, requests, error, self._at_fault(error, requests) or None)

    def _at_fault(self, error: KeyfobError | None, requests: tuple[ShownRequest, ...]) -> str:
        if error is None:
            return ""
        key = AT_FAULT.get(error.code, "")
        if key == "identity.map.subject" and not any(each.purpose == "whoami" for each in requests):
            key = "identity.source"
        if holds_key(self.method) and key.startswith("identity"):
            return f"api_key.{key}"
        if not key and requests:
            return {"token": "token_answer", "refresh": "token_answer", "revoke": "revocation"}.get(
                requests[-1].purpose, ""
            )
        return key


def _identity(account: Account) -> Mapping[str, str]:
    if account.subject.startswith(UNIDENTIFIED):
        return EMPTY
    found = {
        "subject": account.subject,
        "name": account.name,
        "label": account.label,
        "email": account.email,
        "avatar": account.avatar_url,
        "plan": account.plan,
    }
    return {name: value for name, value in found.items() if value}
