"""git: a credential helper for the hosts of connected accounts, and the
passwords of git's own plaintext store.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from keyfob.core.errors import SettingWrong
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.ports import Span
from keyfob.tools import edits, hosts
from keyfob.tools.commands import command_of
from keyfob.tools.entries import KEY, Entry, Format, Place
from keyfob.tools.setup import (
    HOST,
    GatewayAccess,
    GatewaySetup,
    Reach,
    Setup,
    SetupPlan,
    SetupRequest,
    block_edit,
    hosts_of,
)
from keyfob.tools.text_places import lines
from keyfob.tools.tool import Tool

_SECTION = re.compile(r'\s*\[((?:[^\]"]|"(?:[^"\\]|\\.)*")*)\]')
_CREDENTIAL = re.compile(r'(?i:credential)\s+"((?:[^"\\]|\\.)*)"')
_HELPER = re.compile(r"(?i)\s*helper\s*=(.*)")


def plan(request: SetupRequest) -> SetupPlan:
    """`credential.<host>.helper` in git's own global file."""
    path, *others = _files(request)
    for each in (*others, path):
        _refuse_helpers(request, each)
    block: list[str] = []
    for host, account in dict(reversed(hosts_of(request, "git"))).items():
        helper = command_of("git-credential-keyfob", "keyfob")
        if request.named and len(hosts.at(host, "git", [each.to_json() for each in request.everyone])) > 1:
            helper += f" --account {account.id}"
        # The empty one clears what other files list: a helper that
        # stores would keep the token in its own store.
        block += [f'[credential "{_url(host)}"]', "\thelper =", f'\thelper = "{helper}"']
    return SetupPlan([block_edit(request, path, "git", block)])


def through_gateway(request: SetupRequest, gateway: GatewayAccess) -> SetupPlan:
    """`url.<gateway>.insteadOf`, and a helper that gives git its key for the gateway."""
    path, *others = _files(request)
    block: list[str] = []
    reaches = []
    for host, account in dict(reversed(hosts_of(request, "git"))).items():
        _refuse_rewrites(request, (path, *others), f"{_url(host)}/")
        block += [f'[url "{gateway.url(account, host)}/"]', f"\tinsteadOf = {_url(host)}/"]
        reaches.append(Reach(account.id, host))
    helper = f"!{command_of('keyfob')} credential gateway git"
    block += [f'[credential "{gateway.base}"]', "\thelper =", f'\thelper = "{helper}"']
    return SetupPlan([block_edit(request, path, "git", block)], reaches=reaches)


def _files(request: SetupRequest) -> list[Path]:
    """Git's own global files, the one to write to first."""
    named = request.environment.get("GIT_CONFIG_GLOBAL")
    if named:
        return [Path(named)]
    usual, other = request.home / ".gitconfig", request.home / ".config" / "git" / "config"
    use_other = request.read(usual) is None and request.read(other) is not None
    return [other, usual] if use_other else [usual, other]


def _refuse_rewrites(request: SetupRequest, files: Sequence[Path], url: str) -> None:
    """Raises SettingWrong if somebody else's setting leads this address elsewhere."""
    for path in files:
        text = edits.without_block(request.read(path) or "", "git")
        if re.search(rf"(?im)^\s*(push)?insteadOf\s*=\s*\"?{re.escape(url)}", text):
            raise SettingWrong(
                f"{path} already has an insteadOf for {plain(url, 200)}", remedy="Remove it, then try again."
            )


def _refuse_helpers(request: SetupRequest, path: Path) -> None:
    """Raises SettingWrong if the file has another helper for one of the hosts: ours would be the only one."""
    ours = {host for host, _ in hosts_of(request, "git")}
    for url, helper in _helpers(edits.without_block(request.read(path) or "", "git")):
        host = hosts.split(url if "://" in url else f"https://{url}")[1]
        if host in ours and helper and "keyfob" not in helper:
            raise SettingWrong(
                f"{path} already has another credential helper for {plain(url, 200)}: {plain(helper, 80)}",
                remedy=f"Remove it, then try again: git config --file {shlex.quote(str(path))} --unset-all "
                f"{shlex.quote(f'credential.{url}.helper')}",
            )


def _helpers(text: str) -> Iterator[tuple[str, str]]:
    """The helpers that a git configuration sets for an address, each with the address."""
    url: str | None = None
    for line in text.splitlines():
        section = _SECTION.match(line)
        if section is not None:
            found = _CREDENTIAL.fullmatch(section[1].strip())
            url, line = (re.sub(r"\\(.)", r"\1", found[1]) if found else None), line[section.end() :]
        helper = _HELPER.match(line)
        if url is not None and helper is not None:
            yield url, helper[1].strip().strip('"')


def _url(host: str) -> str:
    return f"{'http' if hosts.is_safe('http', host) else 'https'}://{host}"


def git_credentials(text: str) -> Iterator[Entry]:
    """git-credential-store: an address with user and password a line, percent-encoded."""
    for at, line in lines(text):
        try:
            parts = urlsplit(line.strip())
            host = parts.netloc.rpartition("@")[2].lower()
        except ValueError:
            continue
        if parts.scheme in ("http", "https") and parts.password and host:
            end = text.find("\n", at) + 1 or len(text)
            yield Entry(
                KEY,
                host=unquote(host),
                username=unquote(parts.username or ""),
                secret=Secret(unquote(parts.password)),
                # The whole line: from one with no password git would take an empty password.
                spans=(Span(at, end),),
            )


def _named(name: str, text: str) -> bool:
    return name in (".git-credentials", "credentials") and "://" in text


def _recognized(text: str, body: Mapping[str, Any] | None) -> bool:
    return body is None and re.search(r"(?m)^https?://[^\s/]+@", text) is not None


TOOL = Tool(
    "git",
    Setup(
        "clone, fetch and push over https",
        plan,
        options=(HOST,),
        helper="git-credential-keyfob",
        gateway=GatewaySetup(through_gateway),
    ),
    (
        Format(
            "git-credentials",
            "git's credential store",
            git_credentials,
            _recognized,
            named=_named,
            places=(Place(".git-credentials"), Place(".config/git/credentials")),
        ),
    ),
)
