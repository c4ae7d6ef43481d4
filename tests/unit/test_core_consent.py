"""What a program is called when the person is asked about it, and how long an answer stands."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta

import pytest

from keyfob.core.consent import Permission, Program, Reply, as_typed

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("program", "name"),
    [
        (Program("/usr/bin/python3", "/home/a/backup.py"), "backup.py"),
        (Program("/usr/bin/gh"), "gh"),
        (Program("tool"), "tool"),
        (Program("/usr/bin/evil\x1b[2J"), "evil\\x1b[2J"),
        (Program(""), "an unknown program"),
        (Program("/usr/bin/python3", "-c"), "python3 -c …"),
        (Program("/usr/bin/python3", "-m http.server"), "python3 -m http.server"),
    ],
)
def test_a_program_s_name(program: Program, name: str) -> None:
    assert program.name == name


@pytest.mark.parametrize(
    ("program", "typed"),
    [
        (Program("/usr/bin/git"), "/usr/bin/git"),
        (Program("/opt/my tool"), """''"'"'/opt/my tool'"'"''"""),
        (Program("/usr/bin/python3", "/home/a/b c.py"), """'/usr/bin/python3 '"'"'/home/a/b c.py'"'"''"""),
        (Program("/usr/bin/python3", "-c"), "'/usr/bin/python3 -c'"),
        (Program("/usr/bin/python3", "-m http.server"), "'/usr/bin/python3 -m http.server'"),
    ],
)
def test_a_program_can_be_typed_as_it_is_shown(program: Program, typed: str) -> None:
    assert program.command == typed
    assert len(shlex.split(typed)) == 1


def test_a_permission_is_for_the_program_and_its_script_wherever_it_works() -> None:
    mark = Program("/usr/bin/python3", "/home/a/x.py").mark
    assert mark == Program("/usr/bin/python3", "/home/a/x.py", "/tmp", ("/bin/sh",)).mark
    assert mark != Program("/usr/bin/python3").mark
    assert mark != Program("/usr/bin/python3", "/home/a/y.py").mark


def test_how_long_an_answer_stands() -> None:
    def permission(until: datetime | None) -> Permission:
        return Permission("p1", "github/me", "k1", "/usr/bin/gh", None, Reply.ALWAYS, AT, until)

    assert permission(None).stands(AT)
    assert permission(AT + timedelta(seconds=1)).stands(AT)
    assert not permission(AT).stands(AT)
    shown = permission(AT).to_json()
    assert (shown["id"], shown["account"], shown["reply"]) == ("p1", "github/me", "always")


@pytest.mark.parametrize(
    ("executable", "script", "line"),
    [
        ("/usr/bin/gh", None, "/usr/bin/gh"),
        ("/usr/bin/python3", "/home/a/backup.py", "/home/a/backup.py"),
        ("/usr/bin/python3", "-m http.server", "/usr/bin/python3 -m http.server"),
        ("/usr/bin/python3", "-c", "/usr/bin/python3 -c …"),
    ],
)
def test_a_program_as_a_line(executable: str, script: str | None, line: str) -> None:
    assert as_typed(executable, script) == line
