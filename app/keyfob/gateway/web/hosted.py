"""Web sign-in on the gateway's own server (`keyfob serve --public-url`)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from keyfob.core.errors import SettingWrong
from keyfob.core.secret import Secret
from keyfob.core.words import CLIENT_AUTHS, known
from keyfob.engine import Engine
from keyfob.gateway.web.client_keys import ClientKeySet
from keyfob.gateway.web.environment import client_keys_in, secret_keys_in
from keyfob.gateway.web.routes import Routes, WebRequest
from keyfob.gateway.web.settings import AppRegistration, WebSettings
from keyfob.gateway.web.web_sign_in import WebSignIn
from keyfob.service.sign_in.client_keys import WEB

_VAULT = "web/secret-keys"
_FIELDS = {"client_name", "client_uri", "prefix", "home", "apps"}
_APP_FIELDS = {"provider", "client_id", "client_secret", "client_auth", "scopes", "inputs", "ask", "name"}


def settings_of(public_url: str, config: Mapping[str, Any], secret_keys: list[Secret]) -> WebSettings:
    """What the file of `--sign-in` says; without one, sign-in with Bluesky. Raises SettingWrong."""
    _check("The file of --sign-in", config, _FIELDS)
    listed = config.get("apps", [{"provider": "bluesky"}])
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise SettingWrong("apps is not a list of app registrations")
    texts = {name: config[name] for name in ("client_name", "client_uri", "prefix") if name in config}
    if not all(isinstance(value, str) for value in texts.values()):
        raise SettingWrong("client_name, client_uri and prefix are texts")
    home = config.get("home", texts.get("prefix", "/sign-in"))
    return WebSettings(public_url, [_app(each) for each in listed], secret_keys, home=str(home), **texts)


def _app(entry: dict[str, Any]) -> AppRegistration:
    _check("An app registration", entry, _APP_FIELDS)
    if not isinstance(entry.get("provider"), str):
        raise SettingWrong("An app registration names no provider")
    lists = {name: entry[name] for name in ("scopes", "ask") if name in entry}
    if not all(isinstance(value, list) for value in lists.values()):
        raise SettingWrong("scopes and ask are lists")
    auth = entry.get("client_auth")
    if auth is not None and known(CLIENT_AUTHS, auth) is None:
        raise SettingWrong(f"client_auth is one of {', '.join(CLIENT_AUTHS)}")
    inputs = entry.get("inputs", {})
    if not isinstance(inputs, dict):
        raise SettingWrong("inputs is a mapping")
    return AppRegistration(**{**entry, "inputs": {name: str(value) for name, value in inputs.items()}})


def _check(what: str, given: Mapping[str, Any], fields: set[str]) -> None:
    unknown = sorted(str(name) for name in given if name not in fields)
    if unknown:
        raise SettingWrong(f"{what} has the unknown setting {unknown[0]}")


def hosted(
    engine: Engine,
    database_url: str,
    public_url: str,
    config: Mapping[str, Any],
    environment: Mapping[str, str],
) -> WebSignIn:
    """Web sign-in with this engine's keychain and presets. Raises SettingWrong, KeychainError, Transient."""
    settings = settings_of(public_url, config, _secret_keys(engine, environment))
    return WebSignIn(
        settings,
        database_url,
        client_keys=_client_keys(engine, environment),
        presets=Path(engine.home.config),
    )


def _secret_keys(engine: Engine, environment: Mapping[str, str]) -> list[Secret]:
    """From the environment, newest first, else the keychain's, which is made when it is first needed."""
    given = secret_keys_in(environment)
    if given:
        return given
    kept = engine.vault.load(_VAULT)
    if kept is None:
        engine.vault.save(_VAULT, engine.new_secret(32))
        kept = engine.vault.load(_VAULT)
        assert kept is not None
    return [kept]


def _client_keys(engine: Engine, environment: Mapping[str, str]) -> ClientKeySet:
    given = client_keys_in(environment)
    if given is not None:
        return given
    kept = engine.client_keys.private_of(WEB)
    return ClientKeySet([key for key, _ in kept], {key.kid: made for key, made in kept if made is not None})


def add_routes(application: web.Application, sign_in: WebSignIn) -> None:
    """Its addresses, on a server of aiohttp."""
    routes, prefix = Routes(sign_in), sign_in.settings.prefix

    async def handle(request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers["cookie"] = "; ".join(request.headers.getall("Cookie", []))
        query = request.raw_path.partition("?")[2]
        wanted = WebRequest(request.method, request.path, query, headers)
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(sign_in.executor, routes.answer, wanted)
        response = web.Response(status=answer.status, body=answer.body)
        for name, value in answer.headers:
            if name == "Content-Type":
                response.headers[name] = value
            else:
                response.headers.add(name, value)
        return response

    async def start(_: web.Application) -> None:
        sign_in.start()

    application.router.add_route("*", prefix, handle)
    application.router.add_route("*", prefix + "/{below:.*}", handle)
    application.on_startup.append(start)
