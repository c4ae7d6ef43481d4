"""Opens an address in the user's browser (RFC 8252 §8.12): implements `ports.Browser`.

Only https, or http on loopback, is ever passed to a program, as one argument and never through a shell. A
launcher that fails at once is noticed. The address contains the state, so it is never logged and in no error.
Called on worker threads; returns within five seconds.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from keyfob.core.errors import SettingWrong
from keyfob.core.hosts import is_loopback, is_plain_host
from keyfob.process.own_process import child_environment, find_program

_TOTAL = 4.5  # seconds for all candidates together
_EARLY = (
    1.5  # seconds in which a launcher that cannot work has ended; a browser in the foreground keeps running
)
_SHELLS = frozenset("$`'\"();!<>|*^{}~")
_TAKES_SCRIPT = re.compile(r"-[a-z]*c")  # the option of shells (`sh -lc`) before their script
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_DESKTOP_OPENERS = (
    ("xdg-open",),
    ("gio", "open"),
    ("wslview",),
    ("x-www-browser",),
    ("firefox",),
    ("chromium",),
    ("google-chrome",),
)


def open_browser(url: str, plain_host: str | None = None) -> None:
    """Open `url` with `$BROWSER`, else with the desktop's default browser.

    `$BROWSER` is a list of commands separated by `os.pathsep`, tried in order, each with `%s` for the address
    (appended if there is no `%s`). `plain_host`: the host that the user allowed without TLS. Raises
    SettingWrong: `endpoint_unsafe` for an address that no browser should get, `browser_failed` if nothing
    could be started.
    """
    check_address(url, plain_host)
    environment = child_environment(os.environ)
    end = time.monotonic() + _TOTAL
    for command in _candidates(os.environ, url):
        if _started(command, environment, min(_EARLY, max(end - time.monotonic(), 0.1))):
            return
        if time.monotonic() >= end:
            break
    if sys.platform == "win32" and _start_file(url):
        return
    raise SettingWrong("Keyfob could not start a browser", code="browser_failed")


def has_browser() -> bool:
    """Whether this desktop has a program that opens an address. Starts nothing."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(find_program(opener[0]) for opener in _DESKTOP_OPENERS)


def check_address(url: str, plain_host: str | None = None) -> None:
    """Raises SettingWrong `endpoint_unsafe` unless the address is https, or http on this computer or at
    `plain_host`.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        fit = (
            _VISIBLE.fullmatch(url) is not None
            and "\\" not in url  # browsers read it as a slash, parsers do not
            and parts.username is None
            and bool(host)
            and (parts.scheme == "https" or is_loopback(host) or is_plain_host(url, plain_host))
            and parts.scheme in ("https", "http")
            and url.startswith(parts.scheme)
        )
    except ValueError:
        fit = False
    if not fit:
        raise SettingWrong("This address cannot be opened in a browser", code="endpoint_unsafe")


def _candidates(environ: Mapping[str, str], url: str) -> Iterator[list[str]]:
    for entry in environ.get("BROWSER", "").split(os.pathsep):
        if command := _command(entry, url):
            yield command
    if sys.platform == "win32":
        return
    if sys.platform == "darwin":
        yield ["/usr/bin/open", url]
        return
    if not (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY") or environ.get("WSL_DISTRO_NAME")):
        return  # without a screen the openers fall back to a text browser in a terminal that is not there
    for opener in _DESKTOP_OPENERS:
        if program := find_program(opener[0]):
            yield [program, *opener[1:], url]


def _command(entry: str, url: str) -> list[str] | None:
    """One command of `$BROWSER` with the address in its place, None if it is empty or cannot be used."""
    windows = sys.platform == "win32"
    try:
        words = shlex.split(entry, posix=not windows)
    except ValueError:
        return None
    if windows:
        words = [word.strip('"') for word in words]
    if words and words[-1] == "&":
        words.pop()  # as Python's webbrowser allows; nothing here waits for the program's end
    program = find_program(words[0]) if words else None
    if program is None or (windows and program.lower().endswith((".bat", ".cmd"))):
        return None  # Windows runs batch files through its shell, whatever the caller wanted
    arguments = words[1:] if any("%s" in word for word in words[1:]) else [*words[1:], "%s"]
    inert = _inert(url)
    placed = []
    for before, word in zip(words, arguments, strict=False):
        is_script = not windows and _TAKES_SCRIPT.fullmatch(before) is not None and word != "%s"
        placed.append(_in_script(word, inert) if is_script else word.replace("%s", inert))
    return [program, *placed]


def _inert(url: str) -> str:
    """The address with the characters percent-encoded that mean something to a shell: `$BROWSER` may have
    one. In the query of a sign-in they mean the same encoded. `&` stays: it parts the parameters.
    """
    return "".join(f"%{ord(char):02X}" if char in _SHELLS else char for char in url)


def _in_script(script: str, url: str) -> str:
    """A script for a shell (`sh -c 'firefox %s'`) with the address in each `%s`, in quotes if it has none
    there: without them, the `&` of an address starts a command.
    """
    first, *rest = script.split("%s")
    text = first
    for part in rest:
        text += (url if _is_quoted(text) else f"'{url}'") + part
    return text


def _is_quoted(script: str) -> bool:
    """Whether a shell that has read this is inside quotes."""
    quote = ""
    skip = False
    for char in script:
        if skip:
            skip = False
        elif char == "\\" and quote != "'":
            skip = True
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
    return bool(quote)


def _started(command: Sequence[str], environment: Mapping[str, str], patience: float) -> bool:
    """Whether the program runs, or has ended well, after `patience` seconds at most."""
    try:
        process = subprocess.Popen(  # noqa: S603  an argument vector; the address was checked
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=True,  # our listening socket stays ours
            start_new_session=True,  # Ctrl-C in our terminal must not close the user's browser
            env=dict(environment),
        )
    except OSError:
        return False
    try:
        return process.wait(patience) == 0
    except subprocess.TimeoutExpired:
        threading.Thread(target=process.wait, name="browser-reaper", daemon=True).start()
        return True


def _start_file(url: str) -> bool:
    if sys.platform == "win32":
        try:
            os.startfile(url)  # noqa: S606  the system's own function; the address was checked
        except OSError:
            return False
        return True
    return False
