"""What is written from the presets is up to date, and the page's own examples are true."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import get_args

import pytest

from keyfob.core.provider import Provider
from keyfob.core.quirks import QUIRKS, QuirkName
from keyfob.core.resources import resources
from keyfob.providers.catalogue import Catalogue
from keyfob.providers.schema import json_schema, keys_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "providers.md").read_text("utf-8")
CATALOGUE = Catalogue(resources() / "providers")


@pytest.mark.parametrize("script", ["schema", "providers-table"])
def test_what_is_written_from_the_presets_is_up_to_date(script: str) -> None:
    command = [sys.executable, str(ROOT / "build" / script), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def stale(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "build" / "stale-facts"), "--folder", str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_old_facts_are_listed_oldest_first(tmp_path: Path) -> None:
    text = next(text for text in toml_blocks() if 'id = "acme"' in text)
    for name, day in {"a-year": "2025-11-20", "older": "2025-11-19", "oldest": "2024-01-31"}.items():
        changed = text.replace('id = "acme"', f'id = "{name}"')
        (tmp_path / f"{name}.toml").write_text(
            re.sub(r'facts = "[^"]*"', f'facts = "{day}"', changed), "utf-8"
        )
    undated = re.sub(r"facts = .*\n", "", text.replace('id = "acme"', 'id = "undated"'))
    (tmp_path / "undated.toml").write_text(undated, "utf-8")

    told = stale(tmp_path, "--on", "2026-11-20")
    assert [line.split() for line in told.stdout.splitlines()[:-1]] == [
        ["undated", "no", "date"],
        ["oldest", "2024-01-31", "1024", "days", "old"],
        ["older", "2025-11-19", "366", "days", "old"],
    ]
    assert told.stdout.splitlines()[-1].startswith("3 of 4 presets")
    assert told.returncode == 0
    assert stale(tmp_path, "--on", "2026-11-20", "--fail").returncode == 1
    (tmp_path / "undated.toml").unlink()
    assert stale(tmp_path, "--on", "2024-02-01", "--fail").returncode == 0


def test_each_preset_of_ours_has_the_date_of_its_facts() -> None:
    today = datetime.now(UTC).date()
    for provider in CATALOGUE.all():
        assert provider.facts, f"{provider.id} has no facts = "
        assert date.fromisoformat(provider.facts) <= today, provider.id


def test_the_schema_for_editors_knows_every_key_and_no_other() -> None:
    schema = json_schema()
    preset = schema["$defs"]["Provider"]
    assert set(preset["properties"]) == {"extends", "drop", *keys_of(Provider)}
    assert all(table.get("additionalProperties") is False for table in schema["$defs"].values())
    written = json.loads((ROOT / "docs" / "preset.schema.json").read_text("utf-8"))
    assert written == json.loads(json.dumps(schema))


def test_the_schema_says_what_the_checker_asks_for() -> None:
    definitions = json_schema()["$defs"]
    color = definitions["Provider"]["properties"]["color"]
    assert color == {
        "description": "#rrggbb, of the letter tile",
        "type": "string",
        "pattern": "^#[0-9a-fA-F]{6}$",
        "default": "#5c5c63",
    }
    assert definitions["Provider"]["properties"]["methods"]["minItems"] == 1
    assert definitions["Provider"]["required"] == ["id", "title"]
    ports = definitions["RedirectProfile"]["properties"]["ports"]
    assert ports["items"] == {"type": "integer", "minimum": 1024, "maximum": 65535}
    assert definitions["Endpoints"]["properties"]["jwks_uri"]["maxLength"] == 600


def toml_blocks() -> list[str]:
    """The presets that the page shows, without the indentation of its lists."""
    return [re.sub(r"(?m)^ {3}", "", text) for text in re.findall(r"(?s)```toml\n(.*?)```", PAGE)]


def test_the_pages_example_is_right() -> None:
    blocks = toml_blocks()
    acme = next(text for text in blocks if 'id = "acme"' in text)
    assert CATALOGUE.check(acme.encode(), ours=True) == ()
    family = next(text for text in blocks if 'extends = "openai"' in text)
    assert CATALOGUE.check(family.encode()) == ()


def test_every_quirk_is_used_and_told_in_a_sentence() -> None:
    used = {name for provider in CATALOGUE.all() for name in provider.quirks}
    assert used == set(QUIRKS) == set(get_args(QuirkName))
    assert all(quirk.meaning.endswith(".") for quirk in QUIRKS.values())


def test_the_page_names_every_table_of_the_schema() -> None:
    tables = [
        "policy",
        "endpoints",
        "client",
        "redirect",
        "token_answer",
        "lifetimes",
        "api",
        "identity",
        "test",
        "revocation",
        "api_key",
    ]
    assert set(tables) <= set(keys_of(Provider))
    assert all(f"[{name}]" in PAGE for name in tables)
