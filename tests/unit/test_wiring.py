"""S-79: `wire` changes a tool's file by our part alone, and `unwire` puts back the very bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from keyfob.adapters.system import tool_files
from keyfob.core.errors import SettingWrong
from keyfob.tools import edits
from keyfob.tools.edits import Change
from keyfob.tools.wiring import Wiring, text_of

LINES = ["[credential]", "\thelper = keyfob"]
BOM = b"\xef\xbb\xbf"


def read(path: Path) -> str | None:
    data = tool_files.read(path)
    return None if data is None else text_of(data)


def wire(wiring: Wiring, path: Path) -> None:
    before = read(path)
    wiring.make("git", [Change(path, before, edits.with_block(before or "", "git", LINES))], {})


def unwire(wiring: Wiring) -> None:
    wiring.undo("git", wiring.undoing("git"))


@pytest.fixture
def wiring(tmp_path: Path) -> Wiring:
    (tmp_path / "state").mkdir(exist_ok=True)
    return Wiring(
        tmp_path / "state",
        tool_files,
        lambda command, environment: "",
        home=tmp_path / "home",
        environment={},
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir(exist_ok=True)
    return tmp_path / "home" / ".gitconfig"


CONTENT = st.lists(
    st.sampled_from(
        [b"[user]", b"\tname = A", b"", b"\r\n", b"\n", b"\r", b"\xff\xfe", "é\u2028".encode(), b"\x00"]
    )
).map(b"".join)


@given(st.booleans(), CONTENT)
@example(True, b"[user]\r\n\tname = A\r\n")
@example(False, b"a\r\nb\nc")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_very_bytes_come_back_and_the_backup_has_them_meanwhile(
    wiring: Wiring, file: Path, bom: bool, content: bytes
) -> None:
    content = (BOM if bom else b"") + content
    file.write_bytes(content)
    wire(wiring, file)
    made = file.read_bytes()
    assert b"helper = keyfob" in made
    assert made.startswith(BOM) == content.startswith(BOM)
    assert file.with_name(".gitconfig.before-keyfob").read_bytes() == content
    unwire(wiring)
    assert file.read_bytes() == content
    assert list(file.parent.iterdir()) == [file]


def test_a_file_with_crlf_keeps_it_in_our_lines_too(wiring: Wiring, file: Path) -> None:
    file.write_bytes(BOM + b"[user]\r\n\tname = A\r\n")
    wire(wiring, file)
    made = file.read_bytes()
    assert made.startswith(BOM + b"[user]\r\n\tname = A\r\n# >>> keyfob")
    assert made.count(b"\n") == made.count(b"\r\n") == 6
    # Changed since: only our part goes.
    file.write_bytes(made + b"[core]\r\n\tx = \xff\r\n")
    unwire(wiring)
    assert file.read_bytes() == BOM + b"[user]\r\n\tname = A\r\n[core]\r\n\tx = \xff\r\n"


def test_a_backup_of_the_persons_own_is_neither_overwritten_nor_removed(wiring: Wiring, file: Path) -> None:
    own = file.with_name(".gitconfig.before-keyfob")
    own.write_bytes(b"mine")
    file.write_bytes(b"[user]\n")
    wire(wiring, file)
    assert own.read_bytes() == b"mine"
    assert file.with_name(".gitconfig.before-keyfob.2").read_bytes() == b"[user]\n"
    unwire(wiring)
    assert (file.read_bytes(), own.read_bytes()) == (b"[user]\n", b"mine")
    assert sorted(file.parent.iterdir()) == [file, own]


def test_wiring_again_keeps_the_first_backup(wiring: Wiring, file: Path) -> None:
    file.write_bytes(b"[user]\r\n")
    wire(wiring, file)
    text = read(file)
    assert text is not None
    wiring.make("git", [Change(file, text, edits.with_block(text, "git", ["other"]))], {})
    assert file.with_name(".gitconfig.before-keyfob").read_bytes() == b"[user]\r\n"
    unwire(wiring)
    assert file.read_bytes() == b"[user]\r\n"


def test_a_file_that_was_not_there_goes_again(wiring: Wiring, file: Path) -> None:
    wire(wiring, file)
    assert file.stat().st_mode & 0o777 == 0o600
    unwire(wiring)
    assert list(file.parent.iterdir()) == []


def test_a_file_that_changed_after_it_was_shown_is_left_alone(wiring: Wiring, file: Path) -> None:
    file.write_bytes(b"[user]\n")
    change = Change(file, "[user]\n", edits.with_block("[user]\n", "git", LINES))
    file.write_bytes(b"[core]\n")
    with pytest.raises(SettingWrong, match="has changed since"):
        wiring.make("git", [change], {})
    assert file.read_bytes() == b"[core]\n"
    wire(wiring, file)
    shown = wiring.undoing("git")
    file.write_bytes(b"[other]\n")
    with pytest.raises(SettingWrong, match="has changed since"):
        wiring.undo("git", shown)
    assert file.read_bytes() == b"[other]\n"


def test_what_an_older_keyfob_noted_is_undone(wiring: Wiring, file: Path, tmp_path: Path) -> None:
    file.write_bytes(b"[user]\n")
    wire(wiring, file)
    notes = tmp_path / "state" / "wired.json"
    notes.write_text(notes.read_text().replace('"backup": ".gitconfig.before-keyfob",', ""))
    unwire(wiring)
    assert file.read_bytes() == b"[user]\n"
    assert list(file.parent.iterdir()) == [file]


def test_the_helper_of_a_tool_that_uses_the_gateway(wiring: Wiring, file: Path) -> None:
    """git runs keyfob itself for its key, and not the helper that gives tokens."""
    lines = ["[credential]", '\thelper = "!/nowhere/bin/keyfob credential gateway git"']
    change = Change(file, None, edits.with_block("", "git", lines))
    asked = {"gateway": "http://127.0.0.1:2026", "key_id": "k"}
    wiring.make("git", [change], {}, asked)
    assert wiring.missing_helper("git") == "/nowhere/bin/keyfob"
    wiring.undo("git", wiring.undoing("git"))
    assert not file.exists()
