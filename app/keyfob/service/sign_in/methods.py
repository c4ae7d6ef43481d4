"""The sign-in methods, one function each: find the server and the client, run the flow, say what to pin."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import assert_never
from urllib.parse import urlsplit

from keyfob.core.errors import KeyfobError, SettingWrong, SignInNeeded, Usage
from keyfob.core.grant import Grant, SigningKey, seal_key, unseal_key
from keyfob.core.hosts import is_inside
from keyfob.core.http import Callback, Response
from keyfob.core.provider import Provider, Server
from keyfob.core.secret import Secret
from keyfob.ports import Listener
from keyfob.protocol import identity, nextcloud
from keyfob.protocol.atproto import sign_in as atproto
from keyfob.protocol.context import Client, FlowContext, SignInResult
from keyfob.protocol.effects import Expectation, ShowCode
from keyfob.protocol.oauth import authorize, device, discovery, password, token
from keyfob.protocol.token_placement import api_of
from keyfob.service.contexts import NO_SECRETS, ClientSecrets
from keyfob.service.runner import EffectHandlers
from keyfob.service.sign_in.attempt import UnsavedGrant
from keyfob.service.sign_in.clients import ClientChoice
from keyfob.service.sign_in.deps import PreparedSignIn, SignInDeps, SignInOutcome

STATE_BYTES = 24  # 192 bits; S256's own minimum is 128
VERIFIER_BYTES = 48  # 64 characters of base64url, between RFC 7636 §4.1's 43 and 128
# The reference server ends a public client's session two weeks after it began, whatever is renewed.
SESSION_CAP = {"grant_ends_in": str(14 * 86_400)}
CHECKING = frozenset({"userinfo", "whoami", "jwks"})


def sign_in(deps: SignInDeps, ready: PreparedSignIn) -> SignInOutcome:
    """Runs the attempt's method to its end. Nothing is kept yet. Raises a KeyfobError."""
    match ready.method:
        case "oauth":
            return _browser(deps, ready)
        case "device":
            return _device(deps, ready)
        case "atproto":
            return _atproto(deps, ready)
        case "api_key":
            return _api_key(deps, ready)
        case "app_password":
            return _app_password(deps, ready)
        case "password":
            return _password(deps, ready)
    assert_never(ready.method)


# --- authorization code with the browser ----------------------------------------------------------------------


def _browser(deps: SignInDeps, ready: PreparedSignIn) -> SignInOutcome:
    provider, attempt = ready.provider, ready.attempt
    listener = _listen(deps, ready)
    server = _server(deps, ready)
    scopes = _scopes(provider, ready)
    issued = _client(deps, ready, server, listener.redirect_uri, scopes)
    scopes = scopes if issued.scopes is None else tuple(s for s in scopes if s in issued.scopes) or scopes
    ctx = FlowContext(
        provider=provider,
        env=deps.env,
        server=server,
        client=issued.client,
        redirect_uri=listener.redirect_uri,
        scopes=scopes,
        resource=provider.resource,
        dpop_key=_dpop_key(deps, ready, server),
        inputs=ready.inputs,
    )
    openid = "openid" in scopes and provider.nonce
    flow = authorize.authorization_code(
        ctx,
        state=Secret(deps.entropy(STATE_BYTES)),
        nonce=Secret(deps.entropy(STATE_BYTES)) if openid else None,
        code_verifier=Secret(deps.entropy(VERIFIER_BYTES)),
        login_hint=_login_hint(ready),
    )
    handlers = _handlers(deps, ready, listener, ctx, issued.secrets)
    result = deps.runner.run(flow, handlers, attempt.cancelled)
    return SignInOutcome(
        _until_the_secret_ends(deps, issued, result), ctx, issued.secrets, issued.registration_uri
    )


def _listen(deps: SignInDeps, ready: PreparedSignIn) -> Listener:
    """Bound before the browser opens, so that no other program can take the port in between."""
    attempt = ready.attempt
    redirect = ready.provider.redirect
    # The redirected address may always be pasted: another machine's browser, a sandboxed one, one that is https only.
    profile = replace(redirect, paste=redirect.paste or "url")
    listener = deps.listeners.bind(profile, setting_port=deps.settings().callback_port)
    attempt.host(listener, ready.spawn)
    attempt.advance(stage="ready", redirect_uri=listener.redirect_uri)
    return listener


def _handlers(
    deps: SignInDeps,
    ready: PreparedSignIn,
    listener: Listener | None,
    ctx: FlowContext | None = None,
    secrets: ClientSecrets = NO_SECRETS,
) -> EffectHandlers:
    attempt = ready.attempt
    request = attempt.request
    to_open: list[Secret] = []

    def open_browser(url: Secret) -> None:
        if listener is None:
            launch(url)
        else:
            # A browser that is signed in already comes back at once, while its launcher is still watched: it is
            # opened only when its answer is expected.
            to_open.append(url)

    def launch(url: Secret) -> None:
        attempt.advance(stage="browser", url=url)
        if not request.open_browser:
            attempt.advance(browser_opened=None)
            return
        try:
            deps.browser(url.reveal())
        except SettingWrong as error:
            if error.code != "browser_failed":
                raise
            # No browser here: the link can be copied to another one, so this is not an end yet.
            attempt.advance(browser_opened=False)
        else:
            attempt.advance(browser_opened=True)

    def await_callback(expectation: Expectation) -> Callback:
        assert listener is not None
        listener.expect(expectation)
        while to_open:
            launch(to_open.pop())
        span = timedelta(seconds=request.timeout)
        attempt.advance(stage="waiting", deadline=deps.env.now() + span)
        callback = listener.wait(deadline=span, cancel=attempt.cancelled)
        attempt.called_back()
        attempt.advance(stage="checking")
        return callback

    def show_code(code: ShowCode) -> None:
        attempt.advance(
            stage="code",
            user_code=code.user_code,
            verification_uri=code.verification_uri,
            verification_uri_complete=code.verification_uri_complete,
            url=Secret(code.verification_uri_complete or code.verification_uri),
            deadline=code.expires_at,
        )

    def sending(purpose: str) -> None:
        """A method whose waiting is a poll is "checking" from the first request that is not the poll itself."""
        if purpose in CHECKING and attempt.progress.stage == "code":
            attempt.advance(stage="checking")

    def received(purpose: str, response: Response) -> None:
        """Remember the grant as soon as it is there: whatever goes wrong from here on, it is given back."""
        if purpose not in ("token", "device") or ctx is None:
            return
        grant: Grant | None
        try:
            grant = token.read_grant(ctx, response, ctx.scopes)
        except KeyfobError:
            grant = token.unwanted_grant(ctx, response)  # the flow says why
        if grant is not None:
            attempt.received = UnsavedGrant(grant, ctx, secrets)

    return EffectHandlers(
        open_browser=open_browser,
        await_callback=await_callback,
        show_code=show_code,
        sending=sending,
        received=received,
    )


def _until_the_secret_ends(deps: SignInDeps, issued: ClientChoice, result: SignInResult) -> SignInResult:
    """With the day on which the client that was registered for this account ends, and with it every renewal."""
    if issued.secret_expires_at is None:
        return result
    left = (issued.secret_expires_at - deps.env.now()).total_seconds()
    return replace(result, extra={**result.extra, "grant_ends_in": str(max(left, 0.0))})


def _server(deps: SignInDeps, ready: PreparedSignIn) -> Server:
    return deps.runner.run(discovery.discover(ready.provider), cancel=ready.attempt.cancelled)


def _client(
    deps: SignInDeps, ready: PreparedSignIn, server: Server, redirect_uri: str | None, scopes: tuple[str, ...]
) -> ClientChoice:
    """The client of this attempt; one that was registered for it is remembered, and removed if the sign-in fails."""
    attempt = ready.attempt
    issued = deps.clients.for_attempt(
        ready.provider, server, attempt.request, ready.inputs, ready.record, redirect_uri, scopes
    )
    if issued.registration_uri is not None and issued.secrets.registration_token is not None:
        attempt.registered = (issued.registration_uri, issued.secrets.registration_token)
    return issued


def _scopes(provider: Provider, ready: PreparedSignIn) -> tuple[str, ...]:
    """As asked now, as the account had them, or the preset's."""
    asked = ready.attempt.request.scopes
    if asked:
        return asked
    if (
        ready.record is not None
        and ready.record.account.asked_scopes
        and ready.method == ready.record.account.method
    ):
        return ready.record.account.asked_scopes
    return provider.scopes


def _login_hint(ready: PreparedSignIn) -> str | None:
    """For reconnecting: spares the user choosing, and the wrong person."""
    return ready.record.account.email if ready.record else None


def _dpop_key(
    deps: SignInDeps, ready: PreparedSignIn, server: Server, *, always: bool = False
) -> SigningKey | None:
    """The key the tokens will be bound to, in the vault before anything is sent (a crash after the exchange must
    find it there).
    """
    offered = server.dpop_signing_alg_values_supported
    wanted = always or ready.provider.dpop == "always" or (ready.provider.dpop == "offered" and bool(offered))
    if not wanted:
        return None
    alg = "ES256" if not offered or "ES256" in offered else offered[0]
    key = deps.new_key(alg)
    name = f"{ready.account_key}/dpop"
    deps.vault.save(name, seal_key(key))
    kept = deps.vault.load(name)
    assert kept is not None
    return unseal_key(kept)


# --- device code ------------------------------------------------------------------------------------------------


def _device(deps: SignInDeps, ready: PreparedSignIn) -> SignInOutcome:
    provider, attempt = ready.provider, ready.attempt
    server = _server(deps, ready)
    scopes = _scopes(provider, ready)
    issued = _client(deps, ready, server, None, scopes)
    ctx = FlowContext(
        provider=provider,
        env=deps.env,
        server=server,
        client=issued.client,
        scopes=scopes,
        resource=provider.resource,
        dpop_key=_dpop_key(deps, ready, server),
        inputs=ready.inputs,
    )
    result = deps.runner.run(
        device.device_code(ctx),
        _handlers(deps, ready, None, ctx, issued.secrets),
        attempt.cancelled,
    )
    return SignInOutcome(
        _until_the_secret_ends(deps, issued, result), ctx, issued.secrets, issued.registration_uri
    )


# --- atproto ----------------------------------------------------------------------------------------------------


def _atproto(deps: SignInDeps, ready: PreparedSignIn) -> SignInOutcome:
    provider, attempt = ready.provider, ready.attempt
    listener = _listen(deps, ready)
    identifier = ready.inputs.get("handle") or ready.inputs.get("instance") or ""
    near = False
    if ready.record is not None and ready.record.account.subject:
        identifier = ready.record.account.subject  # the DID: a handle may have changed hands
        near = is_inside(urlsplit(ready.record.account.pin.server.issuer or "").hostname)
    plc = ready.inputs.get("plc") or atproto.PLC_DIRECTORY
    resolved = deps.runner.run(
        atproto.resolve(identifier, plc=plc, dns_txt=deps.dns_txt, near=near), cancel=attempt.cancelled
    )
    scopes = _scopes(provider, ready)
    key = _dpop_key(deps, ready, resolved.server, always=True)
    redirect_uri = listener.redirect_uri
    issued = ClientChoice(Client(atproto.loopback_client_id(redirect_uri, scopes)))
    if attempt.request.client_id or deps.clients.known(provider, ready.inputs) is not None:
        # A hosted client metadata document, and with it perhaps a key.
        issued = _client(deps, ready, resolved.server, redirect_uri, scopes)
    ctx = FlowContext(
        provider=provider,
        env=deps.env,
        server=resolved.server,
        client=issued.client,
        redirect_uri=redirect_uri,
        scopes=scopes,
        dpop_key=key,
        inputs=ready.inputs,
    )
    flow = atproto.sign_in(
        ctx,
        resolved,
        state=Secret(deps.entropy(STATE_BYTES)),
        code_verifier=Secret(deps.entropy(VERIFIER_BYTES)),
        plc=plc,
        dns_txt=deps.dns_txt,
    )
    handlers = _handlers(deps, ready, listener, ctx)
    result = deps.runner.run(flow, handlers, attempt.cancelled)
    result = replace(
        result, extra={**result.extra, **SESSION_CAP} if provider.lifetimes.grant is None else result.extra
    )
    return SignInOutcome(result, ctx, issued.secrets, api_base=result.extra.get("pds"), api_hosts=())


# --- keys and passwords -------------------------------------------------------------------------------------------


def _api_key(deps: SignInDeps, ready: PreparedSignIn) -> SignInOutcome:
    provider, request = ready.provider, ready.attempt.request
    key = request.api_key
    if key is None or not key.reveal().strip():
        raise Usage(f"{provider.title} needs a key", remedy="Enter the key and try again.")
    key = Secret(key.reveal().strip())
    if not key.reveal().isascii() or not key.reveal().isprintable() or len(key) > 8192:
        raise Usage("This is not a key. A key is one line of plain letters, digits and symbols")
    now = deps.env.now()
    if request.key_expires_at is not None and request.key_expires_at <= now:
        raise Usage("This date is in the past. You cannot use an expired key")
    grant = Grant(access=key, obtained_at=now, expires_at=request.key_expires_at, token_type="ApiKey")  # noqa: S106
    api = api_of(provider, "api_key")
    base = provider if api is provider.api else replace(provider, api=api)
    ctx = FlowContext(
        env=deps.env,
        provider=base,
        server=provider.default_server(),
        client=Client(None),
        inputs=ready.inputs,
    )
    ready.attempt.advance(stage="checking")
    flow = identity.identify(ctx, grant, claims=None, method="api_key")
    try:
        who = deps.runner.run(flow, cancel=ready.attempt.cancelled)
    except SignInNeeded as refused:
        refused.remedy = "Check the key, and enter it again."
        raise
    return SignInOutcome(
        SignInResult(grant, who), ctx, api_base=api.base, api_hosts=api.hosts, key_tail=key.tail()
    )


def _app_password(deps: SignInDeps, ready: PreparedSignIn) -> SignInOutcome:
    provider, attempt = ready.provider, ready.attempt
    server = provider.default_server()
    base = server.issuer or provider.api.base or ""
    attempt.advance(deadline=deps.env.now() + timedelta(minutes=20))
    handlers = _handlers(deps, ready, None)

    def open_and_wait(url: Secret) -> None:
        handlers.open_browser(url)
        attempt.advance(stage="waiting")

    result = deps.runner.run(
        nextcloud.app_password(base, now=deps.env.now),
        replace(handlers, open_browser=open_and_wait),
        attempt.cancelled,
    )
    ready.inputs["login"] = result.extra["login"]
    ctx = FlowContext(
        env=deps.env, provider=provider, server=server, client=Client(None), inputs=ready.inputs
    )
    attempt.received = UnsavedGrant(result.grant, ctx, NO_SECRETS)
    attempt.advance(stage="checking")
    # The login name says who may sign in; the server says who that is, as it will at each later test.
    who = deps.runner.run(
        identity.identify(ctx, result.grant, claims=None, method="app_password"),
        cancel=attempt.cancelled,
    )
    return SignInOutcome(replace(result, identity=who), ctx, api_base=result.extra.get("server"))


def _password(deps: SignInDeps, ready: PreparedSignIn) -> SignInOutcome:
    provider, attempt = ready.provider, ready.attempt
    request = attempt.request
    username = ready.inputs.get("username", "")
    if request.password is None or not username:
        raise Usage(f"{provider.title} needs a username and a password")
    server = _server(deps, ready)
    scopes = _scopes(provider, ready)
    issued = _client(deps, ready, server, None, scopes)
    ctx = FlowContext(
        env=deps.env,
        provider=provider,
        server=server,
        client=issued.client,
        scopes=scopes,
        inputs=ready.inputs,
    )
    attempt.advance(stage="checking")
    result = deps.runner.run(
        password.password_sign_in(ctx, username=username, password=request.password),
        _handlers(deps, ready, None, ctx, issued.secrets),
        attempt.cancelled,
    )
    return SignInOutcome(
        _until_the_secret_ends(deps, issued, result), ctx, issued.secrets, issued.registration_uri
    )
