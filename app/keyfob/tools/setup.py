"""How a program is set up to ask Keyfob: what each tool's file declares, and the parts that they share.

A tool's `plan` looks at the current settings and returns the changes, with notes for the user. It writes
nothing. A setting that somebody else made is never replaced: that is an error, which names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keyfob.core.account import AccountView
from keyfob.core.errors import SettingWrong, Usage
from keyfob.core.gateway_address import account_path
from keyfob.core.preset_change import command_for
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.ports import OutputOf
from keyfob.tools import edits, hosts
from keyfob.tools.edits import Change


@dataclass(frozen=True, slots=True)
class Option:
    """An option of `keyfob wire` that a tool takes. Tools may share one."""

    name: str  # `shim_dir` for --shim-dir
    metavar: str | None  # None: it takes no value, and is "yes" if it was given
    help: str


HOST = Option("host", "H", "only this host of the account.")
REGISTRY = Option(
    "registry", "URL|NAME", "its address, by default the provider's for npm; for cargo its name."
)
FILE = Option("file", "FILE", "the file to write to. Default for mcp: .mcp.json in this folder.")


@dataclass(frozen=True, slots=True)
class GatewayAccess:
    """What a tool gets instead of a token. `base`: the gateway's address. `key`: None until there is one."""

    base: str
    key: Secret | None = None

    def url(self, account: AccountView, host: str | None = None) -> str:
        """The account's address there, without a slash at the end. `host`: another than the API's."""
        return self.base + account_path(account.provider, account.label, host)

    def key_text(self) -> str:
        """To be written to the tool's own file; a word in its place until there is a key."""
        return self.key.reveal() if self.key is not None else "KEY"


@dataclass(frozen=True, slots=True)
class Reach:
    """What a tool wants to do through the gateway: use this account, at its API or at another host."""

    account: str  # its id
    host: str | None = None


@dataclass(frozen=True, slots=True)
class SetupRequest:
    """What the user asked `wire` for. `accounts`: the named ones, or all if none was named."""

    accounts: Sequence[AccountView]
    everyone: Sequence[AccountView]
    named: bool
    options: Mapping[str, str]  # those that were given, by `Option.name`
    environment: Mapping[str, str]
    home: Path
    here: Path  # the current folder
    read: Callable[[Path], str | None]  # a file's text, None if there is no such file; raises SettingWrong
    output_of: OutputOf
    gateway: GatewayAccess | None = None


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """What setting up a tool would change. Nothing is written yet."""

    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # shown before the user is asked
    remembered: dict[str, str] = field(default_factory=dict)  # kept for undoing
    reaches: list[Reach] = field(default_factory=list)  # through the gateway
    variables: dict[str, str] = field(default_factory=dict, repr=False)  # to be printed; one may hold a key


SHOWN = "shows what to type"  # the summary of a tool that asks no program
Undo = Callable[[str, Mapping[str, str]], str]


@dataclass(frozen=True, slots=True)
class GatewaySetup:
    """As Setup, for a tool that uses accounts through the gateway. `adds`: another account does not take the
    place of one that the tool has.
    """

    plan: Callable[[SetupRequest, GatewayAccess], SetupPlan]
    undo: Undo | None = None
    adds: bool = False


@dataclass(frozen=True, slots=True)
class Setup:
    """`undo` takes our part out of a file's text that was changed since, with what the plan remembered. None:
    our part is a block between marks.
    """

    summary: str
    plan: Callable[[SetupRequest], SetupPlan]
    undo: Undo | None = None
    options: tuple[Option, ...] = ()
    programs: tuple[str, ...] | None = None  # that use it; None: the one of the tool's name
    helper: str | None = "keyfob"  # the program of Keyfob that the tool runs; None: pip's own `keyring`
    gateway: GatewaySetup | None = None


def block_edit(
    request: SetupRequest,
    path: Path,
    tool: str,
    lines: Sequence[str],
    *,
    after: str | None = None,
    private: bool = False,
) -> Change:
    """Our block in a file of settings; `after`: the line below which a new one is put; `private`: it holds a
    key.
    """
    before = request.read(path)
    return Change(path, before, edits.with_block(before or "", tool, lines, after=after), private=private)


def json_edit(request: SetupRequest, path: Path, change: Callable[[dict[str, Any]], None]) -> Change:
    """The change of a JSON file by `change`, which edits the parsed object. Raises SettingWrong for a file
    that is not JSON.
    """
    before = request.read(path)
    return Change(path, before, edits.with_json(before or "", change, str(path)))


def refuse_other(path: Path, what: str, there: object, wanted: str) -> None:
    """Raises SettingWrong if somebody else's setting is there."""
    if there is not None and there != wanted and "keyfob" not in str(there):
        raise SettingWrong(f"{path} already has another {what}", remedy="Remove it, then try again.")


def one_account(request: SetupRequest, tool: str, *, prefer: str | None = None) -> AccountView:
    """The one account that this tool will use."""
    fit = [each for each in request.accounts if request.named or prefer is None or each.provider == prefer]
    if len(fit) != 1:
        ids = ", ".join(each.id for each in fit) or "none connected yet"
        raise Usage(
            f"Which account should {tool} use? ({ids})", remedy=f"Add its name: keyfob wire {tool} ACCOUNT"
        )
    return fit[0]


def hosts_of(request: SetupRequest, tool: str) -> list[tuple[str, AccountView]]:
    """The hosts to answer for, each with its account. If no account was named, those of providers that the
    table lists for this tool.
    """
    host = request.options.get("host")
    found = []
    for account in request.accounts:
        entry = hosts.entry(account.provider, tool)
        if entry is None and not request.named:
            continue
        answered = hosts.further(entry or {}, account.hosts) or account.hosts
        found += [(each, account) for each in answered if host in (None, each)]
    if not found:
        _refuse_host(request, host)
        raise Usage(
            f"No account works with {tool}",
            remedy=f"Connect one, or add its name: keyfob wire {tool} ACCOUNT",
        )
    return found


def _refuse_host(request: SetupRequest, host: str | None) -> None:
    """Raises Usage if the named account does not have the host that was asked for."""
    if host is None or not request.named or len(request.accounts) != 1:
        return
    account = request.accounts[0]
    newer = [each for each in account.preset_changes if (each.part, each.value) == ("host", host)]
    if newer:
        raise Usage(
            f"{plain(host, 120)} was added to {account.provider_title}'s preset after {account.id} signed in",
            remedy=f"To let Keyfob send the token there, run: {command_for(account.id, newer)}",
        )
    known = ", ".join(account.hosts) or "none"
    raise Usage(
        f"{plain(host, 120)} is not a host of {account.id} ({known})",
        remedy="Choose one of these hosts, or add the host to the account's preset and sign in again.",
    )
