"""The provider of a trial: answers at the addresses of one preset, in the preset's shape.

It checks what a provider checks (the code, the PKCE verifier, the redirect, the token on a request), and
refuses what does not fit. `refusals` then says which key of the preset is at fault, if that is known.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from keyfob.core.encoding import basic, sha256_base64url
from keyfob.core.grant import SigningKey
from keyfob.core.methods import Method, holds_key
from keyfob.core.provider import Endpoints, Provider
from keyfob.demo.trial import atproto, made_up
from keyfob.demo.trial.shapes import person_in, put, token_answer
from keyfob.demo.trial.wire import Asked, Given
from keyfob.protocol.jws import published_jwk, sign
from keyfob.protocol.oauth import sso_oidc
from keyfob.protocol.oauth.device import GRANT_TYPE
from keyfob.protocol.oauth.discovery import metadata_url

ENDPOINTS = tuple(entry.name for entry in fields(Endpoints))
GRANTS = ("authorization_code", "refresh_token", "password", "client_credentials", GRANT_TYPE)
# Paths of the endpoints in a discovery document of ours, for a server that has one.
PATHS = {
    "authorization_endpoint": "/authorize",
    "token_endpoint": "/token",
    "userinfo_endpoint": "/userinfo",
    "jwks_uri": "/jwks",
    "revocation_endpoint": "/revoke",
    "device_authorization_endpoint": "/device",
    "registration_endpoint": "/register",
}


class PlayedProvider:
    """Thread-safe enough for one sign-in after another. `provider` has its inputs filled in."""

    def __init__(
        self,
        provider: Provider,
        method: Method,
        key: SigningKey,
        clock: Callable[[], datetime],
        handle: str = made_up.HANDLE,
    ) -> None:
        self.refusals: list[tuple[str, str]] = []  # the preset's key, and what is wrong
        self._provider = provider
        self._method = method
        self._key = key
        self._clock = clock
        self._handle = handle
        self._asked: Mapping[str, str] = {}  # the parameters of the authorization request
        self._pushed: Mapping[str, str] = {}
        self._renewals = 0
        self.secrets: dict[str, str] = {}  # what was issued, and the placeholder that is shown for it
        self._routes = self._all_routes()

    def answer(self, asked: Asked) -> Given:
        """The answer to one request."""
        address = _bare(asked.url)
        route = self._routes.get(f"{asked.method} {address}") or self._routes.get(address)
        if route is None and self._method == "atproto":
            return atproto.answer(asked, self._token_of(asked), self._handle)
        if route is None:
            return Given(404, {"error": "not_found"})
        return route(asked)

    def _refuse(self, key: str, why: str, error: str = "invalid_request", status: int = 400) -> Given:
        self.refusals.append((key, why))
        return Given(status, {"error": error, "error_description": why})

    # --- where ----------------------------------------------------------------------------------------------

    def _all_routes(self) -> dict[str, Callable[[Asked], Given]]:
        provider = self._provider
        handlers: dict[str, Callable[[Asked], Given]] = {
            "authorization_endpoint": self._authorize,
            "token_endpoint": self._token,
            "refresh_endpoint": self._token,
            "device_token_endpoint": self._token,
            "userinfo_endpoint": self._who_am_i,
            "jwks_uri": lambda _asked: Given(json={"keys": [published_jwk(self._key)]}),
            "revocation_endpoint": self._revoke,
            "device_authorization_endpoint": self._device,
            "pushed_authorization_request_endpoint": self._push,
            "registration_endpoint": self._register,
        }
        routes: dict[str, Callable[[Asked], Given]] = {}
        if provider.discovery is not None:
            routes[_bare(metadata_url(provider))] = lambda _asked: Given(json=self._metadata())
        for name, url in self._endpoints().items():
            if name in handlers:
                routes[_bare(url)] = handlers[name]
        base = (provider.api.base or "").rstrip("/")
        key = provider.key_for(self._method)
        sources = [provider.identity.url, provider.test.url if provider.test else None]
        for asks in [key.identity.url, *sources] if key is not None else sources:
            if asks is not None:
                whole = f"{self._answered_base() or base}{asks}" if asks.startswith("/") else asks
                routes[_bare(whole)] = self._who_am_i
        for way in (provider.revocation.request_of(secret=secret) for secret in (True, False)):
            if way.url is not None:
                verb = "DELETE " if way.style == "delete" else ""
                address = verb + _bare(way.url.replace("{client_id}", made_up.CLIENT_ID))
                routes[address] = self._token_or_revoke if address in routes else self._revoke
        if "mastodon_apps" in provider.quirks:
            routes[f"{(provider.issuer or '').rstrip('/')}/api/v1/apps"] = self._register
        if "login_flow_v2" in provider.quirks:
            routes[f"{base}/index.php/login/v2"] = self._login_flow
            routes[f"{base}/index.php/login/v2/poll"] = self._login_poll
            routes[f"{base}/login/flow"] = lambda _asked: Given(text="<p>Allowed.</p>")
            routes[f"{base}/ocs/v2.php/core/apppassword"] = self._revoke
        return routes

    def _endpoints(self) -> dict[str, str]:
        """The preset's endpoints, and for a server with a discovery document those that this one lists."""
        own = {name: url for name in ENDPOINTS if (url := getattr(self._provider.endpoints, name))}
        if self._method == "atproto":
            return {name: url for name, url in atproto.metadata().items() if name in ENDPOINTS}
        if self._provider.discovery is None:
            return own
        issuer = (self._provider.issuer or "").rstrip("/") or _origin(metadata_url(self._provider))
        listed = dict(PATHS)
        if self._provider.par == "always":
            listed["pushed_authorization_request_endpoint"] = "/par"
        return {**{name: issuer + path for name, path in listed.items()}, **own}

    def _metadata(self) -> dict[str, Any]:
        provider = self._provider
        return {
            "issuer": self._issuer(),
            **{k: v for k, v in self._endpoints().items() if k not in ("refresh_endpoint",)},
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": [self._key.alg],
            "grant_types_supported": ["authorization_code", "refresh_token", GRANT_TYPE],
            "scopes_supported": list(provider.scopes),
            **({} if provider.dpop == "never" else {"dpop_signing_alg_values_supported": ["ES256"]}),
        }

    def _issuer(self) -> str:
        provider = self._provider
        if provider.issuer_template is not None:
            return provider.issuer_template.replace("{tenantid}", made_up.TENANT)
        return provider.issuer or _origin(metadata_url(provider))

    # --- the browser ----------------------------------------------------------------------------------------

    def _authorize(self, asked: Asked) -> Given:
        params: Mapping[str, str] = dict(parse_qsl(urlsplit(asked.url).query, keep_blank_values=True))
        if params.get("request_uri") == made_up.REQUEST_URI:
            params = self._pushed
        self._asked = params
        if "openrouter_keys" in self._provider.quirks:
            return _redirect(params.get("callback_url", ""), {"code": made_up.CODE})
        if params.get("response_type") != "code" or not params.get("client_id"):
            return self._refuse("authorize_params", "The request asks for no code, or names no client")
        if self._provider.pkce != "none" and params.get("code_challenge_method") != "S256":
            return self._refuse("pkce", "The request has no PKCE challenge")
        back = {"code": made_up.CODE, "state": params.get("state", "")}
        if self._method == "atproto":
            back["iss"] = atproto.ISSUER
        if "dynamic_agent_client" in self._provider.quirks:
            back["client_id"] = made_up.ISSUED_CLIENT_ID
        return _redirect(params.get("redirect_uri", ""), back)

    def _push(self, asked: Asked) -> Given:
        self._pushed = self._params(asked)
        return Given(201, {"request_uri": made_up.REQUEST_URI, "expires_in": 60})

    def _device(self, asked: Asked) -> Given:
        self._asked = self._params(asked)
        page = f"{_origin(asked.url)}/device"
        answer = {
            "device_code": made_up.DEVICE_CODE,
            "user_code": made_up.USER_CODE,
            "verification_uri": page,
            "expires_in": 600,
            "interval": 1,
        }
        return Given(json=sso_oidc.in_its_names(self._provider.quirks, answer))

    def _register(self, asked: Asked) -> Given:
        sent = (
            self._params(asked)
            if "json" not in asked.headers.get("content-type", "")
            else json.loads(asked.body)
        )
        if sso_oidc.QUIRK in self._provider.quirks:
            client = {"client_id": made_up.CLIENT_ID, "client_secret": made_up.CLIENT_SECRET}
            return Given(json=sso_oidc.in_its_names(self._provider.quirks, client))
        answer = {"client_id": made_up.CLIENT_ID, "client_id_issued_at": 0}
        for name in ("redirect_uris", "grant_types", "token_endpoint_auth_method", "scope"):
            if name in sent:
                answer[name] = sent[name]
        return Given(201, answer)

    def _params(self, asked: Asked) -> Mapping[str, str]:
        """The parameters of a request under their names in RFC 6749."""
        return sso_oidc.in_our_names(self._provider.quirks, _params(asked))

    # --- tokens ---------------------------------------------------------------------------------------------

    def _token(self, asked: Asked) -> Given:
        params = self._params(asked)
        kind = params.get("grant_type", "")
        if "openrouter_keys" in self._provider.quirks:
            person = person_in(self._provider.identity, standard=True)
            key = self._issue(made_up.ACCESS + "0", "access token")
            return self._wrong_verifier(params) or Given(json={**person, "key": key})
        wrong = self._wrong_grant(kind, params)
        if wrong is not None:
            return wrong
        if kind == "refresh_token":
            self._renewals += 1
        return Given(json=self._tokens(asked, first=kind != "refresh_token"))

    def _wrong_grant(self, kind: str, params: Mapping[str, str]) -> Given | None:
        """The refusal of a token request (RFC 6749 §5.2), if there is a reason."""
        refresh = made_up.REFRESH + str(self._last_refresh())
        device = self._provider.device.code_field
        proofs = {
            "authorization_code": ("code", made_up.CODE, "redirect"),
            GRANT_TYPE: (device, made_up.DEVICE_CODE, "device.code_field"),
            "refresh_token": ("refresh_token", refresh, "lifetimes.rotates"),
            "password": ("password", made_up.PASSWORD, "token_params"),
        }
        if kind not in GRANTS:
            return self._refuse("token_params.grant_type", "The request has no known grant type")
        if kind not in proofs:
            return None
        name, value, key = proofs[kind]
        if params.get(name) != value:
            return self._refuse(key, f"{name} is not the one that was issued", "invalid_grant")
        if kind != "authorization_code":
            return None
        if params.get("redirect_uri", "") != self._asked.get("redirect_uri", ""):
            return self._refuse("redirect", "The redirect is another one than before", "invalid_grant")
        return self._wrong_verifier(params)

    def _last_refresh(self) -> int:
        return 0 if self._provider.lifetimes.rotates is False else self._renewals

    def _wrong_verifier(self, params: Mapping[str, str]) -> Given | None:
        if self._provider.pkce == "none":
            return None
        challenge = self._asked.get("code_challenge", "")
        if hmac.compare_digest(sha256_base64url(params.get("code_verifier", "")), challenge):
            return None
        return self._refuse("pkce", "The PKCE verifier does not fit the challenge", "invalid_grant")

    def _tokens(self, asked: Asked, *, first: bool) -> dict[str, Any]:
        provider = self._provider
        tokens = {
            "access_token": self._access(),
            "refresh_token": self._issue(made_up.REFRESH + str(self._last_refresh()), "refresh token"),
        }
        names = {provider.scope_param, provider.device.scope_param or provider.scope_param}
        scopes = next((self._asked[name] for name in names if name in self._asked), "")
        if first and "openid" in scopes.split(provider.scope_separator) and self._can_sign():
            tokens["id_token"] = self._id_token()
        bound = "dpop" in asked.headers
        named = provider.api.from_answer
        answer = token_answer(
            provider, tokens, scopes, self._clock(), token_type="DPoP" if bound else "Bearer"
        )
        if named is not None:
            put(answer, named.field, self._answered_base().removesuffix(named.path))
        if self._method == "atproto":
            answer["sub"] = made_up.DID
        return answer

    def _answered_base(self) -> str:
        """The API's address, if the token answer names it; else empty."""
        named = self._provider.api.from_answer
        if named is None or holds_key(self._method):
            return ""
        return f"https://{named.hosts[0].replace('*', 'trial')}{named.path}"

    def _access(self) -> str:
        """The next access token: a JWT with the person's claims for a preset that reads it."""
        provider = self._provider
        if provider.identity.source == "access_jwt" or provider.api.claim_headers:
            claims = person_in(provider.identity, standard=True)
            for path in provider.api.claim_headers.values():
                claims.setdefault(path, "trial-claim")
            claims["jti"] = str(self._renewals)
            return self._issue(sign(self._key, {"kid": self._key.kid}, claims), "access token")
        return self._issue(made_up.ACCESS + str(self._renewals), "access token")

    def _issue(self, secret: str, called: str) -> str:
        self.secrets[secret] = f"<{called}>"
        return secret

    def _can_sign(self) -> bool:
        """Whether the preset says where the keys are, so that Keyfob expects an ID token."""
        return "jwks_uri" in self._endpoints() and (
            self._provider.issuer is not None or self._provider.discovery is not None
        )

    def _id_token(self) -> str:
        now = int(self._clock().timestamp())
        claims = {
            **(person_in(self._provider.identity, standard=True)),
            "iss": self._issuer(),
            "aud": self._client_id(),
            "sub": made_up.SUBJECT,
            "tid": made_up.TENANT,
            "iat": now,
            "exp": now + 600,
        }
        if "nonce" in self._asked:
            claims["nonce"] = self._asked["nonce"]
        return self._issue(sign(self._key, {"kid": self._key.kid, "typ": "JWT"}, claims), "ID token")

    def _client_id(self) -> str:
        """The client that the tokens are for."""
        if "dynamic_agent_client" in self._provider.quirks:
            return made_up.ISSUED_CLIENT_ID
        return self._asked.get("client_id", made_up.CLIENT_ID)

    # --- the API --------------------------------------------------------------------------------------------

    def _token_of(self, asked: Asked) -> str | None:
        """The token, key or password on a request, wherever it stands; None if there is none."""
        everything = " ".join((unquote(asked.url), *asked.headers.values()))
        known = (*self.secrets, made_up.API_KEY)
        basics = [
            (token, (basic(user, token), basic(token, "")))
            for token in known
            for user in _users(self._provider)
        ]
        for token, forms in basics:
            if token in everything or any(form in everything for form in forms):
                return token
        return None

    def _who_am_i(self, asked: Asked) -> Given:
        provider = self._provider
        if self._token_of(asked) is None:
            at = "api_key.api" if holds_key(self._method) else "api"
            self.refusals.append((f"{at}.placement", "The request has no token"))
            return Given(401, {"error": "invalid_token"}, {"WWW-Authenticate": "Bearer"})
        key = provider.key_for(self._method)
        source = provider.identity if key is None else key.identity
        person = person_in(source, standard=source.source in ("userinfo", "id_token"))
        # OpenID Connect Core §5.3.2: the subject is that of the ID token, whatever the map reads.
        return Given(json={"sub": made_up.SUBJECT, **person})

    def _token_or_revoke(self, asked: Asked) -> Given:
        """For a provider that issues and revokes tokens at one address."""
        return self._token(asked) if self._params(asked).get("grant_type") in GRANTS else self._revoke(asked)

    def _revoke(self, asked: Asked) -> Given:
        body = asked.body + unquote(asked.url)
        if self._token_of(asked) is None and not any(secret in body for secret in self.secrets):
            return self._refuse("revocation", "The request names no token")
        answer: dict[str, Any] = {}
        confirmed = self._provider.revocation.confirmed_by
        if confirmed is not None:
            answer[confirmed] = True
        if self._provider.token_answer.ok_field is not None:
            answer[self._provider.token_answer.ok_field] = True
        return Given(json=answer)

    # --- Nextcloud ------------------------------------------------------------------------------------------

    def _login_flow(self, _asked: Asked) -> Given:
        base = (self._provider.api.base or "").rstrip("/")
        poll = {"token": made_up.POLL_TOKEN, "endpoint": f"{base}/index.php/login/v2/poll"}
        return Given(json={"poll": poll, "login": f"{base}/login/flow"})

    def _login_poll(self, _asked: Asked) -> Given:
        password = self._issue(made_up.ACCESS + "0", "app password")
        return Given(json={"server": self._provider.api.base, "loginName": "alice", "appPassword": password})


def _users(provider: Provider) -> tuple[str, ...]:
    """The user names that stand beside a token in Basic."""
    names = {provider.api.name or "", provider.api_key.api.name or "" if provider.api_key else ""}
    return ("alice", "", *names)


def _params(asked: Asked) -> dict[str, str]:
    """A form or a JSON object as parameters."""
    if "json" in asked.headers.get("content-type", ""):
        try:
            found = json.loads(asked.body)
        except ValueError:
            return {}
        return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}
    return dict(parse_qsl(asked.body, keep_blank_values=True))


def _redirect(uri: str, params: Mapping[str, str]) -> Given:
    return Given(302, headers={"Location": f"{uri}{'&' if '?' in uri else '?'}{urlencode(params)}"}, text="")


def _bare(url: str) -> str:
    """An address without its query, to compare addresses by."""
    return url.partition("?")[0].rstrip("/")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
