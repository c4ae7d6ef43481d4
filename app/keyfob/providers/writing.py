"""Writes presets: the TOML text of a provider, and a new file in the person's own folder.

Called by `keyfob providers add` and `providers show`. The text says what differs from the defaults and nothing else,
so that it reads as if written by hand; it is judged before it is written, and written whole or not at all. A client
secret has no place in it: the caller keeps that in the keychain.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from keyfob.core.errors import SettingWrong, Usage
from keyfob.core.provider import (
    Api,
    ClientProfile,
    Endpoints,
    IdentitySource,
    Policy,
    Provider,
    RedirectProfile,
    Revocation,
    Server,
)
from keyfob.core.text import plain
from keyfob.providers.checks import check
from keyfob.providers.schema import STANDARD_CLAIMS

DEFAULT_SCOPES = ("openid", "profile", "email", "offline_access")
FILE_ONLY = frozenset({"origin"})  # fields of a Provider that no file says
MAP_OF_ANY = {
    "subject": "sub|id|user_id|uuid|login|username",
    "name": "name|display_name|username|login",
    "username": "preferred_username|username|login|email",
    "email": "email",
    "avatar": "picture|avatar_url|avatar",
}


def new_provider(
    provider_id: str,
    server: Server,
    *,
    title: str | None = None,
    client_id: str | None = None,
    has_secret: bool = False,
    scopes: tuple[str, ...] = (),
    methods: tuple[str, ...] = (),
    redirect_host: str = "127.0.0.1",
    redirect_port: int | None = None,
    redirect_path: str = "/callback",
    registers: bool = False,
    discovery: str | None = None,
) -> Provider:
    """A provider for any OAuth 2.0 or OpenID Connect server, from what its metadata (or the person) says.

    `discovery` is how the metadata was found (`openid`, `oauth`, a URL), None where the endpoints were typed in: then
    they all stand in the preset. `redirect_port` None follows Settings, 0 is any free port. `registers`: the client
    is registered by RFC 7591. The result still has to be judged: `write_user_preset` does.
    """
    ends = server.endpoints
    offered = ["oauth"] if ends.authorization_endpoint or not ends.device_authorization_endpoint else []
    if ends.device_authorization_endpoint:
        offered.append("device")
    asked = scopes or _default_scopes(server)
    return Provider(
        id=provider_id,
        title=title or provider_id,
        category="custom",
        methods=methods or tuple(offered),
        policy=Policy(
            client_id="dynamic" if registers else "user",
            register_at=None if registers or client_id else server.issuer or ends.authorization_endpoint,
        ),
        issuer=server.issuer,
        discovery=discovery,
        endpoints=Endpoints(userinfo_endpoint=ends.userinfo_endpoint) if discovery else ends,
        client=ClientProfile(
            client_id=client_id,
            auth=_auth(server) if has_secret else "none",
            secret="required" if has_secret else "never",
        ),
        dpop="offered" if server.dpop_signing_alg_values_supported else "never",
        redirect=RedirectProfile(
            host=redirect_host,
            port="setting" if redirect_port is None else "any" if redirect_port == 0 else "fixed",
            ports=(redirect_port,) if redirect_port else (),
            path=redirect_path,
        ),
        scopes=asked,
        api=Api(base=_origin(ends.userinfo_endpoint or server.issuer or ends.token_endpoint)),
        identity=_identity(server, asked),
        revocation=Revocation(style="rfc7009" if ends.revocation_endpoint else "none"),
        origin="user",
    )


def _origin(url: str | None) -> str | None:
    """Where API calls go until the preset says otherwise: the server's own host."""
    if url is None:
        return None
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _auth(server: Server) -> str:
    """RFC 8414 §2: client_secret_basic where the server says nothing."""
    told = server.token_endpoint_auth_methods_supported
    return "client_secret_post" if told and "client_secret_basic" not in told else "client_secret_basic"


def _default_scopes(server: Server) -> tuple[str, ...]:
    told = server.scopes_supported
    if told is not None:
        return tuple(scope for scope in DEFAULT_SCOPES if scope in told)
    return DEFAULT_SCOPES if server.issuer and server.endpoints.jwks_uri else ()


def _identity(server: Server, scopes: tuple[str, ...]) -> IdentitySource:
    ends = server.endpoints
    if ends.userinfo_endpoint and "openid" in scopes:
        return IdentitySource(source="userinfo", map=STANDARD_CLAIMS)
    if ends.userinfo_endpoint:
        return IdentitySource(source="request", url=ends.userinfo_endpoint, map=MAP_OF_ANY)
    if "openid" in scopes and ends.jwks_uri:
        return IdentitySource(source="id_token", map=STANDARD_CLAIMS)
    return IdentitySource(source="none")


def write_user_preset(folder: Path, provider: Provider, *, overwrite: bool = False) -> Path:
    """Write `<id>.toml` into the person's own folder (made 0700 where it is not there) and return its path.

    Raises SettingWrong `preset_faulty`, naming every fault, where the provider does not hold; Usage where there is
    such a file already; SettingWrong where the folder cannot be written. Atomic: a reader sees all of it or none.
    """
    text = preset_text(provider)
    faults = check(text.encode(), lambda name, own: None)
    if faults:
        raise SettingWrong(
            f"The provider {plain(provider.id, 60)} cannot be added: "
            + ", and ".join(fault.sentence() for fault in faults),
            code="preset_faulty",
        )
    path = folder / f"{provider.id}.toml"
    if path.exists() and not overwrite:
        raise Usage(f"There is a provider {provider.id} of yours already", remedy=f"Edit or remove {path}.")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(path, text)
    except OSError as error:
        raise SettingWrong(f"The preset could not be written to {folder} ({error.strerror})") from error
    return path


def _write(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)  # 0600, and no preset's name
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def preset_text(provider: Provider) -> str:
    """The provider as a preset file. What is as by default is left out; texts keep their placeholders."""
    lines = [f"# {plain(provider.title, 60)}"]
    lines += _table(provider, "")
    return "\n".join(lines) + "\n"


def _table(value: Any, at: str) -> Iterator[str]:
    """The lines of one table: its own values first, then its tables, as TOML wants it."""
    own: list[str] = []
    tables: list[str] = []
    for field in dataclasses.fields(value):
        now = getattr(value, field.name)
        if field.name in FILE_ONLY or (now == _default(field) and not (at == "" and field.name == "methods")):
            continue
        if (
            field.name == "map"
            and value.source in ("id_token", "userinfo")
            and dict(now) == dict(STANDARD_CLAIMS)
        ):
            continue
        here = f"{at}.{field.name}" if at else field.name
        match now:
            case None:
                continue
            case tuple() if now and dataclasses.is_dataclass(now[0]):
                for entry in now:
                    tables += ["", f"[[{here}]]", *_table(entry, here)]
            case Mapping():
                tables += ["", f"[{here}]", *(f"{_key(name)} = {_text(text)}" for name, text in now.items())]
            case _ if dataclasses.is_dataclass(now):
                inner = list(_table(now, here))
                heading = [] if inner and inner[0] == "" else [f"[{here}]"]
                tables += ["", *heading, *inner] if heading else inner
            case _:
                own.append(f"{field.name} = {_value(now)}")
    yield from own
    yield from tables


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else MISSING


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return _text(value)
        case tuple():
            return "[" + ", ".join(_value(item) for item in value) + "]"
    raise TypeError(f"no TOML for {type(value).__name__}")


def _key(name: str) -> str:
    bare = name and all(char.isascii() and (char.isalnum() or char in "_-") for char in name)
    return name if bare else _text(name)


def _text(text: str) -> str:
    """A TOML basic string: quotes, backslashes and controls escaped."""
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif ord(char) < 0x20 or ord(char) == 0x7F:
            out.append(f"\\u{ord(char):04x}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


__all__ = ["new_provider", "preset_text", "write_user_preset"]
