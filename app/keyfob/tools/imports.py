"""Imports from other tools: finds their plaintext stores, shows what is in them, and moves it to Keyfob.

Called by `keyfob import`, by the first start, and by `keyfob export` for the other direction. Keyfob tests a
key at its provider before saving it. If a sign-in cannot be moved, it adds an account that needs one sign-in,
with the reason. It shows a refresh token that another tool still rotates, and never uses it. It shows only
the last characters of what it finds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from keyfob.core.account import NO_COLOR, AccountView
from keyfob.core.errors import KeyfobError, NotFound, SettingWrong, Usage
from keyfob.core.provider import Provider
from keyfob.core.text import plain
from keyfob.ports import AccountRecords, Blanked, Spawn, ToBlank, ToolFiles
from keyfob.providers import reach
from keyfob.providers.catalogue import ID, ID_MOST, Catalogue
from keyfob.providers.substitute import fill
from keyfob.service.accounts.views import SignInRequest
from keyfob.service.sign_in.clients import KeepClient
from keyfob.service.sign_in.imported import ImportedAccount, ImportedAccounts
from keyfob.service.sign_in.sign_in import SignIn
from keyfob.tools import hosts
from keyfob.tools.entries import KEY, READ_ONLY, SIGN_IN, Entry, Format, Way, entries_of
from keyfob.tools.registry import FORMATS, SOURCES, format_of

MOST_BYTES = 1024 * 1024  # of a file that is looked into
UNKNOWN: Way = "unknown"

__all__ = ["KEY", "READ_ONLY", "SIGN_IN", "SOURCES", "UNKNOWN", "Elsewhere", "Found", "Imports", "NewPreset"]

Write = Callable[[Path, bytes], None]


@dataclass(frozen=True, slots=True)
class NewPreset:
    """A preset that comes with an export: what it calls itself, and where it leads. `pretends` is the title
    of a provider that is known here, if this one bears its name and leads elsewhere.
    """

    id: str
    title: str
    hosts: tuple[str, ...]
    pretends: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The object that `keyfob import --json` shows for a server without a preset."""
        return {"id": self.id, "title": self.title, "hosts": list(self.hosts), "pretends": self.pretends}


@dataclass(frozen=True, slots=True)
class Found:
    """One thing in another tool's store. Safe to show: the entry's secrets are Secrets. `way`: `api_key`
    (moves as it is), `sign_in` (an account that is signed in to once), `read_only` (stays where it is),
    `unknown` (say whose it is).
    """

    source: str
    tool: str
    path: Path
    way: Way
    provider: str | None
    provider_title: str | None
    username: str | None
    tail: str
    reason: str
    inputs: Mapping[str, str]
    entry: Entry = field(repr=False)
    preset: NewPreset | None = None  # an export's own, which moving would add
    digest: str = field(default="", repr=False)  # SHA-256 of the file that it was found in
    color: str = NO_COLOR  # the provider's, for its tile

    def to_json(self) -> dict[str, Any]:
        """The object that `keyfob import --json` lists. Of the key it shows the last characters alone."""
        return {
            "source": self.source,
            "path": str(self.path),
            "way": self.way,
            "provider": self.provider,
            "host": self.entry.host,
            "username": self.username,
            "tail": self.tail,
            "reason": self.reason,
            **({"preset": self.preset.to_json()} if self.preset else {}),
        }


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What needs the vault, done by another process that has it open."""

    sign_in: Callable[[SignInRequest], AccountView]
    keep_client: KeepClient


def _own_servers(preset: Provider) -> bool:
    """Whether users run servers of this kind themselves."""
    return any(each.kind in ("host", "url") for each in preset.inputs)


def is_id(name: str) -> bool:
    return ID.fullmatch(name) is not None and len(name) <= ID_MOST


class Imports:
    """Blocking; raises a KeyfobError. `home` is the user's own folder; `table` says whose hosts and variables
    are whose; `read`, `blank` and `write` touch files.
    """

    def __init__(
        self,
        sign_in: SignIn,
        imported: ImportedAccounts,
        catalogue: Catalogue,
        store: AccountRecords,
        *,
        home: Path,
        presets: Path,
        environment: Mapping[str, str],
        files: ToolFiles,
        write: Write,
    ) -> None:
        self._sign_in = sign_in
        self._imported = imported
        self._catalogue = catalogue
        self._store = store
        self._home = home
        self._presets = presets
        self._environment = environment
        self._files = files
        self._write = write

    # --- looking --------------------------------------------------------------------------------------------

    def find(self, source: str | None = None, *, provider: str | None = None) -> list[Found]:
        """What the known stores hold, or those of one source. Files that cannot be read are passed over."""
        found: list[Found] = []
        for name, path in self._places():
            if source in (None, name):
                try:
                    found += self.look(path, source=name, provider=provider)
                except KeyfobError:
                    continue
        return found

    def look(self, path: Path, *, source: str | None = None, provider: str | None = None) -> list[Found]:
        """What a file contains, read as `source` if that is given. `provider` says whose the keys are that
        the file does not say it of. Raises NotFound if there is no file, SettingWrong if Keyfob does not know
        its format.
        """
        data = self._files.read(path, MOST_BYTES + 1)
        if data is None:
            raise NotFound(f"There is no file {path}", code="import_not_found")
        if len(data) > MOST_BYTES:
            raise SettingWrong(f"{path} is too big to import", code="import_unknown")
        text = data.decode("utf-8-sig", "replace")
        kind = format_of(path.name, text, self._variables(), source)
        if kind is None:
            raise SettingWrong(f"{path} is not a file that Keyfob can import", code="import_unknown")
        digest = hashlib.sha256(data).hexdigest()
        found: dict[object, Found] = {}
        for entry in entries_of(data, kind.parse):
            each = replace(self._found(kind, path, entry, provider), digest=digest)
            secret = entry.secret.reveal() if entry.secret else None
            key = (each.provider, entry.host, each.username, secret)
            same = found.get(key)
            if same is not None:  # shown once, at all its places
                entry = replace(same.entry, spans=same.entry.spans + entry.spans)
                each = replace(same, entry=entry)
            found[key] = each
        return list(found.values())

    # --- moving ---------------------------------------------------------------------------------------------

    def move(self, found: Found, spawn: Spawn, elsewhere: Elsewhere | None = None) -> AccountView:
        """A key through the sign-in by API key, anything else as an account to sign in to. `elsewhere`:
        another process has the vault. Raises Usage for what stays where it is; what the sign-in raises.
        """
        entry = found.entry
        if found.way == READ_ONLY:
            raise Usage(found.reason, code="import_read_only")
        if found.provider is None:
            raise Usage(
                f"{found.path} does not say which provider the key is for", code="import_provider_missing"
            )
        if found.way == KEY:
            request = SignInRequest(
                provider=found.provider, method="api_key", inputs=found.inputs, api_key=entry.secret
            )
            if elsewhere is not None:
                return elsewhere.sign_in(request)
            return self._sign_in.run(self._sign_in.begin(request), spawn)
        return self._waiting(found, elsewhere)

    def blank(self, moved: Sequence[Found]) -> list[Blanked]:
        """Take the plaintext of what was moved out of its files, each with a backup that still holds it. A
        file that has changed since it was read stays as it is, and so does one that cannot be written: its
        result says why.
        """
        return self._files.blank(
            [ToBlank(each.path, each.digest, each.entry.spans) for each in moved if each.entry.spans]
        )

    def _waiting(self, found: Found, elsewhere: Elsewhere | None) -> AccountView:
        entry = found.entry
        assert found.provider is not None
        if entry.preset is not None:
            self._take_preset(found.provider, entry.preset)
        return self._imported.add(
            ImportedAccount(
                provider=found.provider,
                tool=found.tool,
                reason=entry.reason,
                inputs=found.inputs,
                label=entry.label or entry.username,
                method=entry.method,
                subject=entry.subject,
                name=entry.name,
                scopes=entry.scopes,
                client_id=entry.client_id,
                client_secret=entry.client_secret,
            ),
            None if elsewhere is None else elsewhere.keep_client,
        )

    # --- exporting ------------------------------------------------------------------------------------------

    def export(self) -> dict[str, Any]:
        """The accounts' descriptions: nothing that opens anything. With the presets of the user's own that
        they use, as text, so that another computer knows them.
        """
        accounts, presets = [], {}
        for record in self._store.records():
            account = record.account
            accounts.append(
                {
                    "provider": account.provider,
                    "label": account.label,
                    "method": account.method,
                    "subject": account.subject,
                    "name": account.name,
                    "scopes": list(account.asked_scopes),
                    "inputs": dict(account.pin.inputs),
                    "client_id": None if account.pin.registration_uri else account.pin.client_id,
                }
            )
            own = self._files.read(self._presets / f"{account.provider}.toml")
            if own is not None:
                presets[account.provider] = own.decode("utf-8", "replace")
        return {"keyfob_export": 1, "accounts": accounts, "presets": presets}

    def _take_preset(self, name: str, text: str) -> None:
        """The exporting person's own preset, if there is none of that id. It has no fault: that was looked
        at.
        """
        if name not in self._catalogue.ids():
            self._presets.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._write(self._presets / f"{name}.toml", text.encode())

    # --- whose is it ----------------------------------------------------------------------------------------

    def _found(self, kind: Format, path: Path, entry: Entry, chosen: str | None) -> Found:
        whose, inputs = self._whose(entry, chosen)
        way, reason, title, new, color = entry.way, entry.reason, None, None, NO_COLOR
        if whose is not None:
            try:
                preset = self._catalogue.get(whose)
                title, color = preset.title, preset.color
                if way == KEY and entry.host is None and chosen != whose and _own_servers(preset):
                    # A key of the user's own server must not be tried at the public one.
                    way, reason = (
                        UNKNOWN,
                        f"{entry.variable} does not say which {preset.title} server it is for",
                    )
                elif way == KEY and "api_key" not in preset.methods:
                    way, reason = SIGN_IN, f"{preset.title} does not use keys. Sign in once instead"
            except KeyfobError:
                new = self._new_preset(whose, entry.preset)
                whose, title = (new.id, new.title) if new else (None, None)
        if whose is None and way != READ_ONLY:
            way = UNKNOWN
            reason = f"Keyfob does not know a provider at {plain(entry.host or 'its address', 80)}"
        tail = entry.secret.tail() if entry.secret else ""
        return Found(
            kind.source,
            kind.title,
            path,
            way,
            whose,
            title,
            entry.username,
            tail,
            reason,
            inputs,
            entry,
            new,
            color=color,
        )

    def _new_preset(self, name: str, text: str | None) -> NewPreset | None:
        """The export's preset of this id; None if there is none that can be used, or a faulty one of the
        user's.
        """
        if text is None or not is_id(name) or name in self._catalogue.ids():
            return None
        try:
            preset = self._catalogue.read(text.encode())
        except KeyfobError:
            return None
        other = reach.same_name(preset, self._catalogue.all())
        return NewPreset(name, preset.title, reach.hosts(preset), other.title if other else None)

    def _whose(self, entry: Entry, chosen: str | None) -> tuple[str | None, Mapping[str, str]]:
        """The provider, and what it needs to know to be the one at this host."""
        if entry.provider is not None:
            return entry.provider, entry.inputs
        host = entry.host
        if host is None:
            return chosen, entry.inputs
        if chosen and host in self._hosts(self._preset(chosen), entry.inputs):
            return chosen, entry.inputs
        for name, row in hosts.table("git").items():
            if host in row.get("hosts", ()):
                return name, entry.inputs
        presets = self._catalogue.all()
        if entry.way == KEY:  # of two presets at one host, the one that takes keys
            presets = sorted(presets, key=lambda preset: "api_key" not in preset.methods)
        for preset in presets:
            needs = [each for each in preset.inputs if each.kind in ("host", "url") and not each.default]
            if not needs and host in self._hosts(preset, entry.inputs):
                return preset.id, entry.inputs
        if chosen:
            # The user's own server: the key goes only to the host that it was saved for.
            kind = next((each for each in self._preset(chosen).inputs if each.kind in ("host", "url")), None)
            if kind is not None:
                address = host if kind.kind == "host" else f"https://{host}"
                return chosen, {**entry.inputs, kind.name: address}
        return None, entry.inputs

    def _preset(self, name: str) -> Provider:
        return self._catalogue.get(name)

    def _hosts(self, preset: Provider, inputs: Mapping[str, str]) -> Iterator[str]:
        values = {each.name: inputs.get(each.name) or each.default or each.example for each in preset.inputs}
        try:
            provider = fill(preset, {name: value for name, value in values.items() if value})
        except KeyfobError:
            return
        key_api = provider.api_key.api.base if provider.api_key else None
        ends = provider.endpoints
        for url in (
            key_api,
            provider.api.base,
            provider.issuer,
            ends.token_endpoint,
            ends.authorization_endpoint,
        ):
            if url:
                yield urlsplit(url).netloc.lower()
        yield from provider.api.hosts

    def _variables(self) -> dict[str, str]:
        return {name: provider for provider, names in hosts.table("env").items() for name in names}

    def _places(self) -> Iterator[tuple[str, Path]]:
        for kind in FORMATS:
            for place in kind.places:
                moved = self._environment.get(place.variable) if place.variable else None
                path = Path(moved) / Path(place.below).name if moved else self._home / place.below
                yield kind.source, path
            named = self._environment.get(kind.file_variable) if kind.file_variable else None
            if named:
                yield kind.source, Path(named)
