"""Opening the browser, with real small programs in the place of one."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from keyfob.adapters.system.browser import open_browser
from keyfob.core.errors import SettingWrong
from support.running import until

URL = "https://id.example/authorize?state=a%20b&scope=x+y"


@pytest.fixture(autouse=True)
def _no_desktop(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "BROWSER"):
        monkeypatch.delenv(name, raising=False)


def program(folder: Path, text: str, name: str = "browser") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def recorder(folder: Path, name: str = "browser") -> tuple[Path, Path]:
    out = folder / f"{name}.out"
    return program(folder, f'printf "%s\\n" "$@" > "{out}.new"; mv "{out}.new" "{out}"', name), out


def arguments(out: Path) -> list[str]:
    until(out.exists, "the browser's start", 5)
    return out.read_text().splitlines()


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ("", [URL]),
        (" %s", [URL]),
        (" --new-window %s --quiet", ["--new-window", URL, "--quiet"]),
        (" --app=%s", [f"--app={URL}"]),
        (" '--title=two words' %s &", ["--title=two words", URL]),
    ],
)
def test_browser_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tail: str, expected: list[str]
) -> None:
    script, out = recorder(tmp_path)
    monkeypatch.setenv("BROWSER", f"{script}{tail}")
    open_browser(URL)
    assert arguments(out) == expected


def test_the_next_of_the_list_where_one_is_missing_or_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = program(tmp_path, "exit 3", "failing")
    script, out = recorder(tmp_path)
    entries = [str(tmp_path / "absent"), "'unbalanced", "", str(failing), f"{script} %s"]
    monkeypatch.setenv("BROWSER", os.pathsep.join(entries))
    open_browser(URL)
    assert arguments(out) == [URL]


def test_the_desktops_opener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, out = recorder(tmp_path, "xdg-open")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":77")
    open_browser(URL)
    assert arguments(out) == [URL]


def test_no_browser_at_all() -> None:
    with pytest.raises(SettingWrong) as caught:
        open_browser(URL)
    assert caught.value.code == "browser_failed"
    assert "id.example" not in str(caught.value) + caught.value.detail


def test_every_browser_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER", str(program(tmp_path, "exit 1")))
    with pytest.raises(SettingWrong) as caught:
        open_browser(URL)
    assert caught.value.code == "browser_failed"


def test_a_browser_in_the_foreground_does_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER", str(program(tmp_path, "exec sleep 8")))
    begun = time.monotonic()
    open_browser(URL)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://id.example/authorize",
        "http://127.0.0.1.example/",
        "ftp://id.example/",
        "-https://id.example/",
        "--help",
        "",
        "https://",
        "https:///path",
        "https://user@id.example/",
        "https://id.example\\@evil.example/",
        "https://id.example/ with blank",
        "https://id.example/\nx",
        "https://id.example/\x1b[0m",
        "https://id.exämple/",
        "https://[::1/",
        " https://id.example/",
        "HTTPS;//x",
    ],
)
def test_s1_unsafe_addresses_start_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    script, out = recorder(tmp_path)
    monkeypatch.setenv("BROWSER", str(script))
    with pytest.raises(SettingWrong) as caught:
        open_browser(url)
    assert caught.value.code == "endpoint_unsafe"
    assert not out.exists()


@pytest.mark.parametrize(
    "url",
    [
        "https://id.example/a;touch%20x?b=$(touch${IFS}pwned)&c=`id`|d'e\"f>g",
        "https://id.example/?x=%s%n--version",
        "http://127.0.0.1:9000/authorize?a=b",
        "http://localhost:9000/",
        "http://[::1]:9000/",
    ],
)
def test_s1_shell_characters_are_inert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    script, out = recorder(tmp_path)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    monkeypatch.chdir(tmp_path)
    open_browser(url)
    (told,) = arguments(out)
    assert unquote(told) == unquote(url)
    assert not set(told) & set("$`'\"();!<>|*{}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["browser", "browser.out"]


@pytest.mark.parametrize(
    "command",
    ["sh -c 'RECORD %s'", "sh -c 'RECORD \"%s\"'", "sh -ec \"RECORD '%s' # %s\"",
     "env bash -c 'x=%s; RECORD $x'",
     "sh -c 'RECORD \"$1\"' browser %s", "sh -c 'RECORD it\\ is %s'"],
)  # fmt: skip
@pytest.mark.parametrize(
    "query",
    [
        "b=$(touch$IFS./pwned)",
        "b=`touch$IFS./pwned`",
        "b='&touch$IFS./pwned&'",
        "b=1&./pwn&c=2",
        "b=1;./pwn;c",
        "b='",
    ],
)
def test_s1_a_browser_command_with_a_shell_gets_the_address_and_runs_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, query: str
) -> None:
    """The address still says the same: client id, state and the rest arrive."""
    script, out = recorder(tmp_path)
    program(tmp_path, "touch pwned", "pwn")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BROWSER", command.replace("RECORD", str(script)))
    url = f"https://id.example/authorize?client_id=a&state=x%20y&{query}&z=(1)"
    open_browser(url)
    told = arguments(out)[-1]
    assert parse_qsl(urlsplit(told).query) == parse_qsl(urlsplit(url).query)
    time.sleep(0.2)
    assert not (tmp_path / "pwned").exists()


def test_our_descriptors_stay_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "fds"
    script = program(tmp_path, f'ls /proc/self/fd > "{out}.new"; mv "{out}.new" "{out}"')
    monkeypatch.setenv("BROWSER", str(script))
    ours = fcntl.fcntl(0, fcntl.F_DUPFD, 200)  # a number that the child would not use by itself
    os.set_inheritable(ours, True)
    try:
        open_browser(URL)
    finally:
        os.close(ours)
    assert str(ours) not in arguments(out)
