"""The text of `keyfob doctor --report`, for a bug report that anybody may read.

It holds no token and no key, no name, e-mail address or subject of an account, no path of a user's and no
address. Checks are named by codes and by what they declare public. From the log, every word that may be such
a name is taken out.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from keyfob import __version__
from keyfob.core.account import AccountView
from keyfob.core.errors import KeyfobError
from keyfob.core.finding import Finding
from keyfob.core.settings import Settings
from keyfob.process import log
from keyfob.process.installed import installed_packages
from keyfob.service.doctor import Step

LOG_LINES = 50
LOG_BYTES = 64 * 1024
EXTRAS = ("desktop", "fast", "jq", "demo")
# Whether they are set may explain a problem; their values are the user's.
VARIABLES = (
    "KEYFOB_HOME", "KEYFOB_SOCK", "KEYFOB_PASSPHRASE_FD", "BROWSER", "DISPLAY", "WAYLAND_DISPLAY",
    "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "SSL_CERT_FILE", "SSH_CONNECTION", "HTTPS_PROXY",
    "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "all_proxy", "no_proxy",
)  # fmt: skip
_HEAD = re.compile(r"(\S+ [A-Z]+ [\w.]+: )(.*)")  # a line's time, level and module
_PLACE = re.compile(r"[^\s,;()'\"]*[/\\@][^\s,;()'\"]*")  # a path, an address, an account's id, an e-mail
# Not the type of an error, such as ssl.SSLError.
_HOST = re.compile(
    r"(?<![\w./-])(?!keyfob\.)(?:[\w-]+\.)+(?:[a-z][a-z0-9-]*|[A-Z]{2,})(?![\w-])|\b\d+(?:\.\d+){3}\b"
)
_CODE = re.compile(r".*/(?:site-packages/)?(keyfob/.+\.py|(?<=site-packages/).+\.py)")


def report(
    settings: Settings,
    accounts: Sequence[AccountView] | KeyfobError,
    results: Sequence[tuple[Step, Finding]],
    lines: Iterable[str],
) -> str:
    """The report. `accounts`: the error if they cannot be read. `lines` are the log's."""
    unread = accounts if isinstance(accounts, KeyfobError) else None
    views = () if isinstance(accounts, KeyfobError) else accounts
    packages = ", ".join(f"{each['Name']} {each['Version']}" for each in installed_packages(EXTRAS))
    own = _Names(views, {step.provider for step, _ in results if step.provider})
    made = [
        f"Keyfob {__version__}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.release()} {platform.machine()}",
        f"Packages: {packages}",
        f"Variables that are set: {', '.join(name for name in VARIABLES if os.environ.get(name)) or 'none'}",
        f"Settings: {', '.join(f'{key}={value}' for key, value in settings.to_mapping().items())}",
        f"Accounts: {unread.code if unread else len(views)}",
        *(f"  {own.account(view)}: {view.method}, {view.status}" for view in views),
        "Checks:",
        *(f"  {_checked(step, finding)}" for step, finding in results),
        "Log:",
        *(f"  {scrubbed(line, own.known)}" for line in lines),
    ]
    return "\n".join(made) + "\n"


def last_lines(path: Path) -> list[str]:
    """The log's last lines; none if it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()[-LOG_LINES:]
    except OSError:
        return []


def scrubbed(line: str, known: Mapping[str, str]) -> str:
    """A line of the log without names. `known`: what stands for the accounts' own words."""
    head = _HEAD.fullmatch(line)
    start, words = (head[1], head[2]) if head else ("", line)
    words = log.redact(words)
    for name in sorted(known, key=len, reverse=True):
        words = re.sub(rf"(?<![\w@./-]){re.escape(name)}(?![\w@])", known[name], words, flags=re.IGNORECASE)
    words = _PLACE.sub(lambda found: _place(found[0], set(known.values())), words)
    return start + _HOST.sub("[host]", words)


def _place(text: str, ours: set[str]) -> str:
    bare = text.rstrip(":.")
    if bare in ours:
        return text
    code = _CODE.fullmatch(bare)
    return code[1] if code else "[removed]"


class _Names:
    """What stands for each account in the report. `shipped`: ids of presets that come with Keyfob."""

    def __init__(self, views: Sequence[AccountView], shipped: set[str]) -> None:
        self._shipped = shipped
        self.known: dict[str, str] = {}
        for number, view in enumerate(views, 1):
            alias = f"account{number}"
            words = (view.label, view.name, view.subject)
            self.known |= {word: alias for word in words if word and len(word) > 2}
            self.known[view.id] = f"{self._provider(view)}/{alias}"
            if view.provider not in shipped:
                self.known[view.provider] = self._provider(view)

    def account(self, view: AccountView) -> str:
        """The account's id with nothing in it that the user chose."""
        return self.known[view.id]

    def _provider(self, view: AccountView) -> str:
        return view.provider if view.provider in self._shipped else "own-provider"


def _checked(step: Step, finding: Finding) -> str:
    title = step.name.replace("_", " ")
    if step.name == "provider":
        title = f"provider {step.provider or 'of the user'}"
    state = "fail" if not finding.ok else finding.level
    return ", ".join(filter(None, (f"{title}: {state}", finding.code, finding.public)))
