"""Fills the user's inputs into a preset: `{instance}`, `{tenant}` and similar become what the user entered.

Called when an account is created, and whenever its context is rebuilt from the saved inputs. The result
contains no placeholder of a declared input. A host stays a host (no scheme, path or username gets in), and
plain http is only for loopback. Must never ask a resolver or read the environment.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import assert_never
from urllib.parse import SplitResult, urlsplit

from keyfob.core import patterns
from keyfob.core.errors import SettingWrong, Usage
from keyfob.core.hosts import is_disguised, is_loopback, is_plain_host
from keyfob.core.hosts import plain_host as plain_host_of
from keyfob.core.provider import Input, Provider
from keyfob.core.text import plain
from keyfob.providers.values import url_fault

TEXT = re.compile(r"[A-Za-z0-9._~-]{1,200}")  # may be in an address as it is, with nothing to escape
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
MOST = 500  # characters of an input
INSTALLATION = "{installation}"  # Sign in with ChatGPT wants to know one host from another


def fill(
    provider: Provider,
    inputs: Mapping[str, str],
    *,
    installation: str | None = None,
    plain_host: str | None = None,
) -> Provider:
    """The provider with its inputs filled in; unchanged if it declares none. Inputs it does not declare are
    passed over. `installation` (a UUID, made once for this installation) is for authorization parameters that
    ask for it; without one these are not sent. `plain_host`: the host that the user allowed without TLS; the
    result keeps it if an input is at it. Raises Usage if an input is missing or does not fit, naming it by
    its title, and as `normalised`.
    """
    provider = replace(provider, authorize_params=_installed(provider.authorize_params, installation))
    if not provider.inputs:
        return provider
    values = {entry.name: _value_of(entry, inputs, plain_host) for entry in provider.inputs}
    loopback = {
        entry.name
        for entry in provider.inputs
        if entry.kind == "host"
        and (is_loopback(_hostname(values[entry.name])) or values[entry.name] == plain_host)
    }
    filled = _filled(provider, values, loopback)
    assert isinstance(filled, Provider)
    at = (value.removeprefix("http://").partition("/")[0] for value in values.values())
    return replace(filled, plain_host=plain_host) if plain_host is not None and plain_host in at else filled


def _value_of(entry: Input, inputs: Mapping[str, str], plain_host: str | None) -> str:
    """One input as it goes into addresses; empty if only another method asks for it."""
    given = inputs.get(entry.name)
    return "" if entry.methods and not given else normalised(entry, given, plain_host)


def normalised(entry: Input, value: str | None, allowed: str | None = None) -> str:
    """One input as it goes into addresses. `allowed`: the host that the user allowed without TLS. Raises
    Usage if it is missing or does not fit, SettingWrong `plain_http` for another one of the own network that
    they wrote with http://.
    """
    text = (value if value is not None else entry.default or "").strip()
    if not text:
        if entry.default == "":
            return ""
        text = entry.default or ""
    if not text:
        raise Usage(f"{entry.title} is needed" + (f", such as {entry.example}" if entry.example else ""))
    if len(text) > MOST:
        raise _unfit(entry, text)
    match entry.kind:
        case "host":
            text = _host(entry, text, allowed)
        case "url":
            text = _url(entry, text, allowed)
        case "handle":
            text = text.removeprefix("@").lower()
            # A server's own address may identify it; http is for loopback, which the flow sees to.
            bare = re.sub(r"^https?://", "", text.rstrip("/"))
            text = text.rstrip("/")
            if re.search(r"[\s\x00-\x1f\x7f/?#@\\]", bare):
                raise _unfit(entry, text)
        case "text":
            if entry.pattern is None and not TEXT.fullmatch(text):
                raise _unfit(entry, text)
        case _:
            assert_never(entry.kind)
    if entry.pattern is not None and not patterns.matches(entry.pattern, text):
        raise _unfit(entry, text)
    return text


def _unfit(entry: Input, text: str) -> Usage:
    example = f"; an example is {entry.example}" if entry.example else ""
    return Usage(f'{entry.title} cannot be "{plain(text, 60)}"{example}')


def _host(entry: Input, text: str, allowed: str | None) -> str:
    """`host` or `host:port` in lower case and punycode. A pasted address
    gives its host if nothing else is in it.
    """
    if "://" in text:
        parts = _split(entry, text)
        if parts.scheme not in ("https", "http") or parts.path.strip("/") or parts.query or parts.fragment:
            raise _unfit(entry, text)
        _refuse_plain(entry, text, allowed)
        text = parts.netloc
    text = text.rstrip("/")
    if re.search(r"[\s\x00-\x1f\x7f/?#@\\%{}]", text):
        raise _unfit(entry, text)
    parts = _split(entry, f"https://{text}")
    if not parts.hostname:
        raise _unfit(entry, text)
    name = _ascii_host(entry, parts.hostname, single=text.lower() == allowed)
    return f"{name}:{parts.port}" if parts.port is not None else name


def _ascii_host(entry: Input, host: str, *, single: bool = False) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return f"[{address}]" if address.version == 6 else str(address)
    try:
        name = host.rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise _unfit(entry, host) from None
    labels = name.split(".")
    undotted = len(labels) == 1 and name != "localhost" and not single
    if (
        undotted
        or is_disguised(name)
        or len(name) > 253
        or not all(LABEL.fullmatch(label) for label in labels)
    ):
        raise _unfit(entry, host)
    return name


def _url(entry: Input, text: str, allowed: str | None) -> str:
    """An https address (http on loopback), without query, fragment or user name. A slash at its end stays: it
    is part of an issuer's name (RFC 8414 §3.3).
    """
    if "://" not in text:
        text = f"https://{text}"
    parts = _split(entry, text)
    if parts.query or parts.fragment or parts.username is not None or parts.password is not None:
        raise _unfit(entry, text)
    if not parts.hostname or re.search(r"[\s\x00-\x1f\x7f\\{}]", text):
        raise _unfit(entry, text)
    _refuse_plain(entry, text, allowed)
    plain = is_plain_host(text, allowed)
    host = _ascii_host(entry, parts.hostname, single=plain)
    port = f":{parts.port}" if parts.port is not None else ""
    url = f"{parts.scheme}://{host}{port}{parts.path}"
    if url_fault(url) is not None and not plain:
        raise SettingWrong(f"{entry.title} must begin with https://", code="endpoint_unsafe")
    return url


def _refuse_plain(entry: Input, text: str, allowed: str | None) -> None:
    """Raises SettingWrong `plain_http` for http:// to a host where the user could allow it and has not."""
    host = plain_host_of(text)
    if host is not None and host != allowed:
        raise SettingWrong(
            f"{entry.title} uses http, so anybody on your network can read the token on its way",
            code="plain_http",
            facts={"server": host},
        )


def _split(entry: Input, text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise _unfit(entry, text) from None
    return parts


def _hostname(host: str) -> str:
    return urlsplit(f"https://{host}").hostname or ""


def _installed(params: Mapping[str, str], installation: str | None) -> Mapping[str, str]:
    if not any(INSTALLATION in text for text in params.values()):
        return params
    kept = {name: text for name, text in params.items() if installation or INSTALLATION not in text}
    return MappingProxyType(
        {name: text.replace(INSTALLATION, installation or "") for name, text in kept.items()}
    )


# --- substitution -------------------------------------------------------------------------------------------


def _filled(value: object, values: Mapping[str, str], loopback: set[str]) -> object:
    match value:
        case str():
            return _text(value, values, loopback)
        case tuple():
            items = tuple(_filled(item, values, loopback) for item in value)
            return tuple(item for item, was in zip(items, value, strict=True) if item != "" or was == "")
        case Mapping():
            texts = {name: _filled(text, values, loopback) for name, text in value.items()}
            # A parameter whose only content was an input left empty is not sent at all.
            kept = {name: text for name, text in texts.items() if text != "" or value[name] == ""}
            return MappingProxyType(kept)
        case Input():
            return value
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            was = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            now = {name: _filled(part, values, loopback) for name, part in was.items()}
            return replace(value, **{n: None if v == "" and was[n] != "" else v for n, v in now.items()})
        case _:
            return value


def _text(text: str, values: Mapping[str, str], loopback: set[str]) -> str:
    for name, value in values.items():
        slot = f"{{{name}}}"
        if slot in text:
            if name in loopback:
                text = text.replace(f"https://{slot}", f"http://{slot}")
            text = text.replace(f"{slot}/", f"{value.rstrip('/')}/").replace(slot, value)
    return text
