"""The user's settings: plain values with their defaults and limits. Saved in `config/settings.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from datetime import timedelta
from typing import Any, get_args

from keyfob.core.errors import SettingWrong
from keyfob.core.words import ThemeChoice, VaultChoice

THEMES: tuple[ThemeChoice, ...] = get_args(ThemeChoice)
VAULTS: tuple[VaultChoice, ...] = get_args(VaultChoice)
_SWITCHES = (
    "start_at_login",
    "close_to_tray",
    "named_app_consent",
    "first_start_done",
    "updates",
    "gateway",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user can set, with the defaults. Immutable; `from_mapping` checks the values."""

    start_at_login: bool = False
    close_to_tray: bool = True
    theme: ThemeChoice = "system"
    callback_port: int = 9876
    renewal_margin: int = 600  # seconds before expiry; a shorter lifetime uses 20 % of itself
    named_app_consent: bool = False
    vault: VaultChoice = "keychain"  # chosen on purpose; never changed by a failure
    first_start_done: bool = False
    updates: bool = True  # looked for at most once a day: of copies that update themselves, and of tools
    gateway: bool = False  # whether the app serves programs on this computer
    gateway_port: int = 2026

    @property
    def margin(self) -> timedelta:
        """How long before its expiry a token is renewed, if it lives long enough."""
        return timedelta(seconds=self.renewal_margin)

    @classmethod
    def from_mapping(cls, data: dict[str, Any]) -> Settings:
        """Settings from a parsed file. Unknown keys are kept out; a wrong value raises SettingWrong naming
        it.
        """
        known = {f.name: f for f in fields(cls)}
        return replace(cls(), **{k: v for k, v in data.items() if k in known}).checked()

    def checked(self) -> Settings:
        """Itself. Raises SettingWrong for the first wrong value, with the setting's name in `detail`."""
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise _wrong(name, "must be true or false")
        if self.theme not in THEMES:
            raise _wrong("theme", f"must be one of {', '.join(THEMES)}")
        if self.vault not in VAULTS:
            raise _wrong("vault", f"must be one of {', '.join(VAULTS)}")
        for name in ("callback_port", "gateway_port"):
            port = getattr(self, name)
            if isinstance(port, bool) or not isinstance(port, int) or not 1024 <= port <= 65535:
                raise _wrong(name, "must be a whole number from 1024 to 65535")
        margin = self.renewal_margin
        if isinstance(margin, bool) or not isinstance(margin, int) or not 30 <= margin <= 86_400:
            raise _wrong("renewal_margin", "must be a whole number of seconds from 30 to 86400")
        return self

    def to_mapping(self) -> dict[str, Any]:
        """All values by name, as `settings.json` holds them."""
        return asdict(self)


def _wrong(name: str, rule: str) -> SettingWrong:
    return SettingWrong(f"The setting {name} {rule}", detail=name)
