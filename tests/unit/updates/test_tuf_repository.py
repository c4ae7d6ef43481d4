"""`build/tuf-repository`, the publisher's command."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from keyfob.updates.source import Source
from keyfob.updates.trusted import TrustedUpdates
from support.hostile import RawServer, Talk, answer

ROOT = Path(__file__).resolve().parents[3]


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "build" / "tuf-repository", *words],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.network
def test_a_publishers_year(tmp_path: Path) -> None:
    folder, keys, archive = tmp_path / "repository", tmp_path / "keys", tmp_path / "a.tar.gz"
    archive.write_bytes(b"an archive")
    made = command("init", folder, "--keys", keys)
    assert made.returncode == 0, made.stderr
    assert sorted(each.name for each in keys.iterdir()) == [
        "root-1.pem", "root-2.pem", "root-3.pem", "snapshot-1.pem", "targets-1.pem", "timestamp-1.pem",
    ]  # fmt: skip
    root = (folder / "metadata" / "1.root.json").read_bytes()
    (tmp_path / "notes.md").write_text("- faster")
    added = command(
        "add", folder, "--keys", keys, archive, "--version", "1.2", "--notes", tmp_path / "notes.md"
    )  # fmt: skip
    assert added.stdout == f"keyfob-1.2-linux-x86_64.tar.gz is in {folder}\n"
    assert command("sign", folder, "--keys", keys, "--role", "snapshot").stdout == "signed\n"
    shown = command("show", folder).stdout
    assert "keyfob-1.2-linux-x86_64.tar.gz" in shown
    (keyid,) = re.findall(r"2\.targets\.json.*\n    signed by ([0-9a-f]{64})", shown)
    replaced = command("replace-key", folder, "--keys", keys, "targets", keyid)
    assert replaced.stdout.startswith("targets has the new key ")
    assert (keys / "targets-2.pem").exists()

    def give(talk: Talk) -> None:
        path = folder / talk.request.target.lstrip("/")
        answer(200, path.read_bytes())(talk) if path.is_file() else answer(404)(talk)

    with RawServer(give) as server:
        source = Source(metadata=server.url("/metadata"), targets=server.url("/targets"), root=root)
        newest = TrustedUpdates(source, tmp_path / "cache", system="linux", machine="x86_64").newest
        found = newest()
        assert found is not None
        assert (found.version, found.notes) == ("1.2", "- faster")
        withdrawn = command("withdraw", folder, "--keys", keys, "keyfob-1.2-linux-x86_64.tar.gz")
        assert withdrawn.returncode == 0, withdrawn.stderr
        assert newest() is None


def test_keys_in_a_checkout_are_refused(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    done = command("init", tmp_path / "repository", "--keys", tmp_path / "keys")
    assert done.returncode == 1
    assert "private keys do not belong there" in done.stderr
    assert not (tmp_path / "keys").exists()


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    done = command("sign", tmp_path / "nothing", "--keys", tmp_path / "keys")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
