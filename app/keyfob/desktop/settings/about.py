"""What Settings says about Keyfob itself: versions, licenses, and diagnostics to copy.

`about` reads the installed packages, so call it off the GUI thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata

from keyfob import __version__
from keyfob.core.settings import Settings
from keyfob.core.text import plain
from keyfob.desktop.check.report import system
from keyfob.process.home import Home
from keyfob.process.installed import installed_packages

EXTRAS = ("desktop", "demo")  # of the package: what comes with the app
FONT = "Inter: SIL Open Font License 1.1"
LINE = 120  # characters of a license's name


@dataclass(frozen=True, slots=True)
class About:
    """`libraries`: a line for each, with its version and license. `folders`: their names and paths."""

    version: str
    license: str
    libraries: tuple[str, ...]
    folders: tuple[tuple[str, str], ...]
    packages: tuple[str, ...]  # names and versions, for diagnostics


def about(home: Home) -> About:
    """What is installed now."""
    found = [(each["Name"], each["Version"], _license(each)) for each in installed_packages(EXTRAS)]
    return About(
        __version__,
        _own_license(),
        (*(f"{name} {version}: {license_}" for name, version, license_ in found), FONT),
        (("Settings", str(home.config)), ("Accounts", str(home.data)), ("Log", str(home.log))),
        tuple(f"{name} {version}" for name, version, _ in found),
    )


def diagnostics(about: About, settings: Settings, kept_in: str, accounts: int) -> str:
    """Versions, the system, the keychain's kind and the settings, each of which is a switch, a number or one
    of a few words. It holds no token, no name that a user chose and no path.
    """
    lines = [
        system(),
        f"Keychain: {kept_in}",
        f"Accounts: {accounts}",
        "Settings: " + ", ".join(f"{key}={value}" for key, value in settings.to_mapping().items()),
        "Packages: " + ", ".join(about.packages),
    ]
    return "\n".join(lines) + "\n"


def _own_license() -> str:
    try:
        return _license(metadata("keyfob"))
    except PackageNotFoundError:
        return "Apache-2.0"


def _license(package: object) -> str:
    """As the package itself says: the expression, else its field, else its classifiers."""
    get = package.get_all  # type: ignore[attr-defined]
    for field in ("License-Expression", "License"):
        for text in get(field) or ():
            if text and text != "UNKNOWN":
                return plain(text.splitlines()[0], LINE)
    named = [each.rpartition(" :: ")[2] for each in get("Classifier") or () if each.startswith("License")]
    return plain(", ".join(named), LINE) or "see its website"
