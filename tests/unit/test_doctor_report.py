"""`keyfob doctor --report` and `--verbose`: enough for a bug report, and nothing that names a person."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from keyfob.cli.report import scrubbed
from keyfob.core.errors import Fault
from keyfob.engine import Engine
from keyfob.process.log import FILE, set_up
from support.agent_rig import AgentRig
from support.cli_run import opens, run
from support.sample_engine import sample_engine
from support.samples import sample_views

TOKEN = "gho_MadeUpForATest0000000000000000000000"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return sample_engine(tmp_path)


def write_log(engine: Engine, *lines: str) -> None:
    engine.home.log.mkdir(exist_ok=True, parents=True)
    (engine.home.log / FILE).write_text(
        "".join(f"2026-11-20T14:00:00.000Z WARNING keyfob.service.events: {line}\n" for line in lines)
    )


def test_a_report_has_what_a_bug_report_needs(engine: Engine) -> None:
    write_log(engine, "nexusmods/aldis: renewal_failed (network_unreachable)")
    ran = run(["doctor", "--report"], opens(engine))
    assert ran.out.startswith("Keyfob 0.")
    for part in (
        "Python 3.",
        "click ",
        "callback_port=9876",
        "Settings: ",
        "Checks:\n",
        "  tray: ok",
        "Log:\n",
    ):
        assert part in ran.out
    assert "  github/account" in ran.out
    assert "nexusmods/account" in ran.out.partition("Log:")[2]
    assert "renewal_failed (network_unreachable)" in ran.out


def test_a_report_names_nobody(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret, e-mail address, subject, label, path or address."""
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter2@proxy.example.org:3128")
    write_log(
        engine,
        f"token={TOKEN}",
        f"Bearer {TOKEN}",
        "google/work@example.org: renewed (ok)",
        "a removed account gone/mallory@example.org: removed (ok)",
        f"cannot write {Path.home()}/.config/keyfob/settings.json",
        "the request to id.corp.example.net:8443 failed, 10.1.2.3 too",
    )
    text = run(["doctor", "--report"], opens(engine)).out
    for view in sample_views():
        for word in (view.name, view.subject, view.id):
            assert not word or word not in text, word
    for secret in (
        TOKEN, "hunter2", "proxy.example", "mallory", "example.org", "corp.example", "10.1.2.3",
        str(Path.home()),
    ):  # fmt: skip
        assert secret not in text, secret
    assert "HTTPS_PROXY" in text


def test_a_store_that_cannot_be_read_leaves_the_rest(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> None:
        raise Fault("The store is damaged", code="store_damaged")

    monkeypatch.setattr(engine.store, "records", damaged)
    ran = run(["doctor", "--report"], opens(engine))
    assert "Accounts: store_damaged\n" in ran.out
    assert "Settings: " in ran.out


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            'File "/opt/x/lib/keyfob/cli/main.py", line 5, in main',
            'File "keyfob/cli/main.py", line 5, in main',
        ),
        ('File "/opt/site-packages/click/core.py", line 9', 'File "click/core.py", line 9'),
        ("ALICE renewed example/alice.", "account1 renewed example/account1."),
        ("malice was refused", "malice was refused"),
        (r"C:\Users\alice\keyfob is full", "[removed] is full"),
    ],
)
def test_a_line_keeps_what_does_not_name_anybody(line: str, expected: str) -> None:
    assert scrubbed(line, {"alice": "account1", "example/alice": "example/account1"}) == expected


def test_verbose_says_what_is_done_and_no_secret(tmp_path: Path) -> None:
    rig = AgentRig(tmp_path)
    rig.connect()
    ran = run(["--verbose", "token", "example"], opens(rig.engine))
    assert (ran.code, ran.out) == (0, "access-1\n")
    assert "DEBUG keyfob.cli.session: no agent answers, so this process does it" in ran.err
    assert "access-1" not in ran.err
    assert "DEBUG" not in run(["token", "example"], opens(rig.engine)).err, "only while it is wanted"


def test_verbose_does_not_fill_the_log_file(tmp_path: Path) -> None:
    logger = logging.getLogger("keyfob")
    was = logger.level
    logger.setLevel(logging.DEBUG)
    undo = set_up(tmp_path)
    try:
        assert logger.level == logging.DEBUG, "stderr still gets them"
        logger.debug("small")
        logger.info("large")
        text = (tmp_path / FILE).read_text()
    finally:
        undo()
        logger.setLevel(was)
    assert "large" in text
    assert "small" not in text
