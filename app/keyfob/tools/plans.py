"""What `keyfob wire` writes for each tool: the file, the edit, and how the edit is taken out again.

Each tool has one function that looks at what is there and returns the changes, with notes for the user; none
writes. A setting that somebody else made is never replaced: that is an error which names it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keyfob.core.account import AccountView
from keyfob.core.errors import NotFound, SettingWrong, Usage
from keyfob.core.text import plain
from keyfob.process.own_process import child_environment, find_program, persons_path
from keyfob.tools import edits, host_lookup, kubeconfig
from keyfob.tools.wiring import Change, read

API_VERSION = "client.authentication.k8s.io/v1"
OLD_API_VERSION = "client.authentication.k8s.io/v1beta1"  # all that kubectl before 1.22 knows


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user asked `wire` for. `accounts`: the named ones, or all if none was named."""

    accounts: Sequence[AccountView]
    everyone: Sequence[AccountView]
    named: bool
    options: Mapping[str, str]
    environment: Mapping[str, str]
    home: Path
    here: Path


@dataclass(frozen=True, slots=True)
class Planned:
    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # shown before the user is asked
    told: dict[str, str] = field(default_factory=dict)  # kept for undoing


def git(asked: Asked) -> Planned:
    """`credential.<host>.helper` in git's own global file."""
    path = Path(asked.environment.get("GIT_CONFIG_GLOBAL") or asked.home / ".gitconfig")
    other = asked.home / ".config" / "git" / "config"
    if not asked.environment.get("GIT_CONFIG_GLOBAL") and not path.exists() and other.exists():
        path = other
    lines: list[str] = []
    for host, account in dict(reversed(_hosts(asked, "git"))).items():
        helper = _command("git-credential-keyfob", "keyfob")
        if asked.named and len(host_lookup.at(host, "git", [each.to_json() for each in asked.everyone])) > 1:
            helper += f" --account {account.id}"
        # The empty one clears what other files list: a helper that stores would keep the token in its own store.
        lines += [f'[credential "{_url(host)}"]', "\thelper =", f'\thelper = "{helper}"']
    return Planned([_block(path, "git", lines)])


def docker(asked: Asked) -> Planned:
    """`credHelpers` in Docker's config.json."""
    if find_program("docker-credential-keyfob", asked.environment.get("PATH")) is None:
        raise SettingWrong(
            "docker-credential-keyfob is not on the PATH, so Docker cannot find it",
            remedy="Add the folder of the keyfob command to PATH.",
        )
    path = Path(asked.environment.get("DOCKER_CONFIG") or asked.home / ".docker") / "config.json"
    hosts = [host for host, _ in _hosts(asked, "docker")]

    def change(body: dict[str, Any]) -> None:
        helpers = body.setdefault("credHelpers", {})
        for host in hosts:
            _free(path, f"credHelpers of {host}", helpers.get(host), "keyfob")
            helpers[host] = "keyfob"

    return Planned([_json(path, change)])


def kubectl(asked: Asked) -> Planned:
    """A user of the kubeconfig, and the context that shall use it."""
    account = _one(asked, "kubectl")
    path = Path(
        (asked.environment.get("KUBECONFIG") or "").split(os.pathsep)[0] or asked.home / ".kube" / "config"
    )
    user = asked.options.get("user") or f"keyfob-{account.provider}-{account.label}"
    before = read(path)
    command = [_command("keyfob"), "credential", "kubectl", account.id]
    version = OLD_API_VERSION if _is_old_kubectl(asked.environment) else API_VERSION
    after = kubeconfig.with_user(before or "", user, command, version)
    if (
        before is not None
        and kubeconfig.has_user(before, user)
        and after != before
        and "- kubectl" not in before
    ):
        raise SettingWrong(f"{path} already has a user {user}", remedy="Choose another name with --user.")
    context = asked.options.get("context")
    if context:
        after = kubeconfig.with_context(after, context, user)
    notes = [] if context else [f"Use it in a context: kubectl config set-context CONTEXT --user={user}"]
    return Planned([Change(path, before, after)], notes, told={"user": user})


def _is_old_kubectl(environment: Mapping[str, str]) -> bool:
    """Whether the kubectl that is there does not know version 1 of the answer (before 1.22)."""
    program = find_program("kubectl", environment.get("PATH"))
    if program is None:
        return False
    done = subprocess.run(  # noqa: S603
        [program, "version", "--client", "-o", "json"],
        env=child_environment(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    try:
        minor = str(json.loads(done.stdout)["clientVersion"]["minor"])
        return int("".join(char for char in minor if char.isdecimal())) < 22
    except (ValueError, KeyError, TypeError):
        return False


def aws(asked: Asked) -> Planned:
    """A profile with `credential_process`."""
    account = _one(asked, "aws")
    path = Path(asked.environment.get("AWS_CONFIG_FILE") or asked.home / ".aws" / "config")
    profile = asked.options.get("profile") or account.label
    head = "[default]" if profile == "default" else f"[profile {profile}]"
    if head in edits.without_block(read(path) or "", "aws").split("\n"):
        raise SettingWrong(f"{path} already has a profile {profile}", remedy="Choose another with --profile.")
    lines = [head, f"credential_process = {_command('keyfob')} credential aws {account.id}"]
    return Planned([_block(path, "aws", lines)], [f"Use it with: aws --profile {profile} …"])


def pip(asked: Asked) -> Planned:
    """`keyring-provider = subprocess`, and a `keyring` command that asks Keyfob, as pip looks for one by that name."""
    environment = asked.environment
    own = _which("keyfob-keyring", environment)
    folder = Path(asked.options.get("shim_dir") or own.parent)
    shim = folder / "keyring"
    text = f'#!/bin/sh\n# Placed by `keyfob wire pip`; `keyfob unwire pip` removes it.\nexec {shlex.quote(str(own))} "$@"\n'
    found = find_program("keyring", environment.get("PATH"))
    if found is not None and Path(found) != shim:
        raise SettingWrong(
            f"Another keyring command at {found}comes first on the PATH, so pip would use it",
            remedy="Choose a folder that comes earlier on the PATH: --shim-dir DIR.",
        )
    before = read(shim)
    if before is not None and "keyfob wire pip" not in before:
        raise SettingWrong(f"{shim} is another program", remedy="Choose another folder with --shim-dir.")
    if str(folder) not in (environment.get("PATH") or "").split(os.pathsep):
        raise SettingWrong(f"{folder} is not on the PATH, so pip cannot find keyring there")
    config = Path(
        environment.get("PIP_CONFIG_FILE")
        or Path(environment.get("XDG_CONFIG_HOME") or asked.home / ".config") / "pip" / "pip.conf"
    )
    rest = edits.without_block(read(config) or "", "pip").split("\n")
    told = [line for line in rest if line.split("=")[0].strip() in ("keyring-provider", "keyring_provider")]
    changes = [Change(shim, before, text, mode=0o755)]
    if not told:
        lines = ["keyring-provider = subprocess"]
        changes.append(
            _block(config, "pip", lines, after="[global]")
            if "[global]" in rest
            else _block(config, "pip", ["[global]", *lines])
        )
    elif told[0].partition("=")[2].strip() != "subprocess":
        raise SettingWrong(f"{config} says {told[0].strip()}", remedy="Remove that line, then try again.")
    host = next(iter(account.hosts[0] for account in asked.accounts if account.hosts), "gitlab.com")
    note = f"Add the account's label to the index address: https://{asked.accounts[0].label}@{host}/…/simple"
    return Planned(changes, [note] if asked.accounts else [])


def npm(asked: Asked) -> Planned:
    """A registry's token, by the name of a variable that `keyfob exec` sets."""
    account = _one(asked, "npm")
    registry = asked.options.get("registry")
    if registry is None:
        entry = host_lookup.entry(account.provider, "npm")
        if entry is None:
            raise Usage(f"Which registry of {account.id}?", remedy="Add --registry https://…")
        registry = str(entry["registry"]).replace("{host}", account.hosts[0] if account.hosts else "")
    elif host_lookup.split(registry)[1] not in account.hosts:
        raise SettingWrong(f"{plain(registry)} is not at a host of {account.id}", code="host_not_allowed")
    path = Path(
        asked.environment.get("NPM_CONFIG_USERCONFIG")
        or asked.environment.get("npm_config_userconfig")
        or asked.home / ".npmrc"
    )
    key = f"//{registry.partition('://')[2].rstrip('/')}/:_authToken"
    rest = edits.without_block(read(path) or "", "npm").split("\n")
    if any(line.split("=")[0].strip() == key for line in rest):
        raise SettingWrong(
            f"{path} has a token for {registry} already",
            remedy="Move it with `keyfob connect`, remove its line, and try again.",
        )
    variable = variable_of(account.provider)
    note = f"Run npm so that it gets the token: keyfob exec {account.id} -- npm install"
    return Planned([_block(path, "npm", [f"{key}=${{{variable}}}"])], [note])


def claude(asked: Asked) -> Planned:
    """`apiKeyHelper` in Claude Code's settings."""
    account = _one(asked, "claude", prefer="anthropic")
    folder = Path(asked.environment.get("CLAUDE_CONFIG_DIR") or asked.home / ".claude")
    command = f"{_command('keyfob')} token {account.id}"

    def change(body: dict[str, Any]) -> None:
        _free(folder / "settings.json", "apiKeyHelper", body.get("apiKeyHelper"), command)
        body["apiKeyHelper"] = command

    return Planned([_json(folder / "settings.json", change)])


def mcp(asked: Asked) -> Planned:
    """`headersHelper` of a server in an MCP client's JSON."""
    account = _one(asked, "mcp")
    path = Path(asked.options.get("file") or asked.here / ".mcp.json")
    name = asked.options.get("server")
    if not name:
        raise Usage("Which server?", remedy="Add --server NAME, with its name in the file.")
    command = f"{_command('keyfob')} credential headers {account.id}"
    url = ""

    def change(body: dict[str, Any]) -> None:
        nonlocal url
        server = (body.get("mcpServers") or {}).get(name)
        if not isinstance(server, dict) or not isinstance(server.get("url"), str):
            raise NotFound(
                f"{path} has no server {name} with an address",
                code="account_not_found",
                remedy="Add the server first, then try again.",
            )
        url = server["url"]
        _free(path, "headersHelper", server.get("headersHelper"), command)
        server["headersHelper"] = command

    made = _json(path, change)
    scheme, host, _ = host_lookup.split(url)
    if not host or not host_lookup.is_safe(scheme, host):
        raise SettingWrong(f"{plain(url)} is not encrypted", code="endpoint_unsafe")
    warnings = []
    if host not in account.hosts:
        warnings.append(
            f"{plain(host)} is not a host of {account.id}. It would get the token of {account.id} and can act as you "
            "with it."
        )
    return Planned([made], warnings=warnings)


def curl(asked: Asked) -> Planned:
    """curl asks nobody: what to type."""
    ref = asked.accounts[0].id if asked.accounts else "ACCOUNT"
    return Planned(
        notes=[
            "curl cannot be configured to ask a program. To keep the token out of the command line, type:",
            f"  curl -H @<(keyfob token {ref} --header) https://…",
            "Or ask the agent:",
            f'  curl --unix-socket "$(keyfob agent --print-socket)" http://keyfob/v1/token/{ref}',
            f"Or let Keyfob make the request: keyfob request {ref} GET /path",
        ]
    )


def httpie(asked: Asked) -> Planned:
    """HTTPie asks nobody: what to type."""
    ref = asked.accounts[0].id if asked.accounts else "ACCOUNT"
    return Planned(
        notes=[
            "HTTPie cannot be configured to ask a program. To keep the token out of the command line, type:",
            f"  http https://… Authorization:@<(printf 'Bearer %s' \"$(keyfob token {ref})\")",
        ]
    )


# --- taking out of a file that was changed since ----------------------------------------------------------------------


def take_docker(text: str) -> str:
    def change(body: dict[str, Any]) -> None:
        helpers = {k: v for k, v in body.get("credHelpers", {}).items() if v != "keyfob"}
        body["credHelpers"] = helpers
        if not helpers:
            del body["credHelpers"]

    return edits.with_json(text, change, "config.json")


def take_claude(text: str) -> str:
    def change(body: dict[str, Any]) -> None:
        if " token " in str(body.get("apiKeyHelper")) and "keyfob" in str(body.get("apiKeyHelper")):
            del body["apiKeyHelper"]

    return edits.with_json(text, change, "settings.json")


def take_mcp(text: str) -> str:
    def change(body: dict[str, Any]) -> None:
        for server in body.get("mcpServers", {}).values():
            if "keyfob credential headers" in str(server.get("headersHelper")):
                del server["headersHelper"]

    return edits.with_json(text, change, ".mcp.json")


@dataclass(frozen=True, slots=True)
class Tool:
    line: str
    plan: Callable[[Asked], Planned]
    take: Callable[[str], str] | None = None  # None: a block between marks


TOOLS: dict[str, Tool] = {
    "git": Tool("clone, fetch and push over https", git),
    "docker": Tool("pull from and push to registries", docker, take_docker),
    "kubectl": Tool("a user in the kubeconfig", kubectl),
    "aws": Tool("a profile for AWS tools", aws),
    "pip": Tool("package indexes that need a password", pip),
    "npm": Tool("a registry's token, in a variable", npm),
    "curl": Tool("shows what to type", curl),
    "httpie": Tool("shows what to type", httpie),
    "claude": Tool("Claude Code's API key", claude, take_claude),
    "mcp": Tool("the headers of a server in an MCP client", mcp, take_mcp),
}


# --- for all ----------------------------------------------------------------------------------------------------------


def _block(path: Path, tool: str, lines: Sequence[str], *, after: str | None = None) -> Change:
    before = read(path)
    return Change(path, before, edits.with_block(before or "", tool, lines, after=after))


def _json(path: Path, change: Callable[[dict[str, Any]], None]) -> Change:
    before = read(path)
    return Change(path, before, edits.with_json(before or "", change, str(path)))


def _free(path: Path, what: str, there: object, wanted: str) -> None:
    """Raises SettingWrong if somebody else's setting is there."""
    if there is not None and there != wanted and "keyfob" not in str(there):
        raise SettingWrong(f"{path} already has another {what}", remedy="Remove it, then try again.")


def _one(asked: Asked, tool: str, *, prefer: str | None = None) -> AccountView:
    """The one account that this tool will use."""
    fit = [each for each in asked.accounts if asked.named or prefer is None or each.provider == prefer]
    if len(fit) != 1:
        ids = ", ".join(each.id for each in fit) or "none connected yet"
        raise Usage(
            f"Which account should {tool} use? ({ids})", remedy=f"Add its name: keyfob wire {tool} ACCOUNT"
        )
    return fit[0]


def _hosts(asked: Asked, tool: str) -> list[tuple[str, AccountView]]:
    """The hosts to answer for. Where no account was named: those of providers that are known for this tool."""
    host = asked.options.get("host")
    found = []
    for account in asked.accounts:
        entry = host_lookup.entry(account.provider, tool)
        if entry is None and not asked.named:
            continue
        hosts = host_lookup.further(entry or {}, account.hosts) or account.hosts
        found += [(each, account) for each in hosts if host in (None, each)]
    if not found:
        raise Usage(
            f"No account works with {tool}",
            remedy=f"Connect one, or add its name: keyfob wire {tool} ACCOUNT",
        )
    return found


def _url(host: str) -> str:
    return f"{'http' if host_lookup.is_safe('http', host) else 'https'}://{host}"


def _command(program: str, short: str | None = None) -> str:
    """How tools call this program: by its name, or by its path where a name may be found in the current folder
    (Windows, or a PATH with such an entry) or is not found."""
    found = find_program(program)
    if found is not None and os.name != "nt" and persons_path() == os.environ.get("PATH"):
        return short or program
    beside = Path(sys.executable).with_name(program)
    if found is None and beside.exists():
        found = str(beside)
    if found is not None:
        return shlex.quote(found)
    raise SettingWrong(
        f"{program} is not on the PATH", remedy="Add the folder of the keyfob command to PATH."
    )


def _which(program: str, environment: Mapping[str, str]) -> Path:
    found = find_program(program, environment.get("PATH"))
    if found is not None:
        return Path(found)
    return Path(_command(program))


def variable_of(provider: str) -> str:
    """`nexus-mods` → `NEXUS_MODS_TOKEN`."""
    return re.sub(r"[^A-Z0-9]", "_", provider.upper()) + "_TOKEN"
