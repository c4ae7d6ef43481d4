"""The log: one plain line a record (S-65), no secret in it (S-25), private and bounded."""

from __future__ import annotations

import logging
import re
import stat
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyfob.core.secret import Secret
from keyfob.process import log

pytestmark = pytest.mark.logs

CANARY = "canary-77aa-in-the-log"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[LogLines]:
    undo = log.set_up(tmp_path)
    yield LogLines(tmp_path / log.FILE)
    undo()


class LogLines:
    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[str]:
        return self.path.read_bytes().decode().split("\n")[:-1]


logger = logging.getLogger("keyfob.test")


def test_a_record_is_one_line_with_time_level_and_place(lines: LogLines) -> None:
    logger.info("renewed %s", "demo/alice")
    [line] = lines.read()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO keyfob\.test: renewed demo/alice", line)


@pytest.mark.parametrize(
    "evil", ["a\nb", "a\r\nb", "a\x1b[31mb", "a\x00b", "a\x85b", "a\u2028b", "a\u202eb", "a\x9b31mb"]
)
def test_s65_nothing_breaks_or_forges_a_line(lines: LogLines, evil: str) -> None:
    logger.warning("app %s", evil)
    logger.warning(evil)
    logging.getLogger(f"keyfob.{evil}").warning("x")
    try:
        raise RuntimeError(evil)
    except RuntimeError:
        logger.exception("failed %s", evil)
    assert len(lines.read()) == 4
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", lines.path.read_text())


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_s65_any_text_makes_one_line_without_controls(text: str) -> None:
    record = logging.LogRecord("keyfob", logging.INFO, "", 0, "%s", (text,), None)
    line = log.PlainFormatter().format(record)
    assert not [char for char in line if unicodedata.category(char) in ("Cc", "Zl", "Zp", "Cs")]


def test_a_traceback_stays_on_the_records_line(lines: LogLines) -> None:
    try:
        raise ValueError("bad\nthing")
    except ValueError:
        logger.exception("it failed")
    [line] = lines.read()
    assert "it failed" in line
    assert "ValueError: bad" in line
    assert "test_adapter_log.py" in line


@pytest.mark.parametrize(
    "text",
    [
        f"access_token={CANARY}",
        f"GET /cb?code={CANARY}&state={CANARY}",
        f"'refresh_token': '{CANARY}'",
        f'{{"id_token": "{CANARY}"}}',
        f"Authorization: Bearer {CANARY}",
        f"authorization: dpop {CANARY}",
        f"Basic {CANARY}",
        f"client_secret = {CANARY}",
        f"code_verifier={CANARY};",
        f"https://alice:{CANARY}@op.test/",
        f"Cookie: session={CANARY}",
        f"password={CANARY}",
    ],
)
def test_s25_what_a_library_might_say_is_redacted(lines: LogLines, text: str) -> None:
    logger.warning(text)
    logger.warning("%s", text)
    try:
        raise RuntimeError(text)
    except RuntimeError:
        logger.exception("failed")
    written = lines.path.read_text()
    assert CANARY not in written
    assert written.count("[redacted]") >= 3


def test_s25_a_jwt_is_redacted_wherever_it_stands(lines: LogLines) -> None:
    logger.warning("the answer was %s.", JWT)
    assert JWT not in lines.path.read_text()
    assert "eyJ" not in lines.path.read_text()


def test_s25_a_secret_prints_nothing(lines: LogLines) -> None:
    logger.warning("%s %r %s", Secret(CANARY), Secret(CANARY), {"a": Secret(CANARY)})
    assert CANARY not in lines.path.read_text()


@pytest.mark.parametrize(
    "text", ["renewed demo/alice in 120 ms", "https://op.test/token answered 503", "provider_unavailable"]
)
def test_plain_words_are_left_alone(text: str) -> None:
    assert log.redact(text) == text


def test_libraries_that_tell_urls_are_quiet(lines: LogLines) -> None:
    for name in ("httpx", "httpcore.http11", "asyncio", "keyring.backend", "PIL.Image"):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("matter")
    assert [line.rpartition(" ")[2] for line in lines.read()] == ["matter"] * 5


def test_the_file_is_for_its_owner_alone(lines: LogLines) -> None:
    lines.path.write_text("")
    lines.path.chmod(0o644)
    logger.info("x")
    assert stat.S_IMODE(lines.path.stat().st_mode) == 0o600


def test_the_log_is_rotated_and_bounded(lines: LogLines, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (log.SIZE_MOST, log.FILES) == (1_000_000, 3)
    monkeypatch.setattr(log, "SIZE_MOST", 2_000)
    for number in range(200):
        logger.info("line %d", number)
    files = sorted(lines.path.parent.iterdir())
    assert [each.name for each in files] == ["keyfob.log", "keyfob.log.1", "keyfob.log.2"]
    assert all(each.stat().st_size <= 2_000 for each in files)
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    assert lines.read()[-1].endswith("line 199")


def test_a_log_that_another_process_has_rotated_is_opened_anew(lines: LogLines) -> None:
    logger.info("one")
    lines.path.rename(lines.path.with_name("keyfob.log.1"))
    logger.info("two")
    [line] = lines.read()
    assert line.endswith("two")


def test_a_log_that_cannot_be_written_stops_nothing_and_says_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    undo = log.set_up(tmp_path / "absent")
    try:
        logger.warning("access_token=%s", CANARY)
    finally:
        undo()
    assert "Logging error" not in capfd.readouterr().err


def test_undoing_leaves_logging_as_it_was(tmp_path: Path) -> None:
    before = (list(logging.getLogger().handlers), logging.getLogger("httpx").level)
    undo = log.set_up(tmp_path)
    undo()
    assert (list(logging.getLogger().handlers), logging.getLogger("httpx").level) == before


def test_setting_up_makes_no_file_until_there_is_something_to_say(tmp_path: Path) -> None:
    log.set_up(tmp_path)()
    assert list(tmp_path.iterdir()) == []


def test_it_loads_no_network_modules() -> None:
    code = "import sys, keyfob.process.log; print([m for m in ('socket', 'ssl', 'http') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
