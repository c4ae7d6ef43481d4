"""What other tools' files hold: found whatever their spelling, nothing guessed, nothing told but a tail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.adapters import plaintext
from keyfob.core.secret import Secret
from keyfob.service.legacy_formats import FORMATS, Entry, environment, parser_of

VARIABLES = {
    "OPENAI_API_KEY": "openai-api",
    "GITLAB_TOKEN": "gitlab",
    "HF_TOKEN": "huggingface",
    "ANTHROPIC_API_KEY": "anthropic",
}
FILES = {
    "gh": """\
github.com:
    users:
        octocat:
            oauth_token: gho_canary1
    user: octocat
    oauth_token: gho_canary1
    git_protocol: https
git.corp.example:
    oauth_token: "gho_canary2"
    user: worker
""",
    "git-credentials": """\
https://octocat:gho_canary1@github.com
https://me:p%40ss-canary2@gitlab.com
https://me:canary3@git.corp.example
not a line
""",
    "netrc": """\
machine github.com login octocat password gho_canary1
machine ftp.corp.example
    login me
    password canary3
machine huggingface.co password "hf_canary2" # mine
""",
    "codex": json.dumps(
        {"OPENAI_API_KEY": "sk-canary1", "tokens": {"refresh_token": "canary2", "access_token": "x"}}
    ),
    "env": """\
# my keys
export OPENAI_API_KEY="sk-canary1"
GITLAB_TOKEN='canary2' # work
HF_TOKEN=$OTHER
PATH=/bin
ANTHROPIC_API_KEY=
""",
    "claude": json.dumps({"claudeAiOauth": {"accessToken": "x", "refreshToken": "canary1"}}),
    "nexus": json.dumps({"games": [{"nexus_api_key": "canary1"}], "theme": "dark"}),
    "emailproxy": """\
[me@example.org]
token_url = https://oauth2.googleapis.com/token
client_id = proxy-client
client_secret = canary-client
oauth2_scope = https://mail.google.com/
refresh_token = gAAAA-canary1
[Server setup]
local_port = 1993
""",
}
EXPECTED: dict[str, list[tuple[str, str | None, str | None, str | None]]] = {
    "gh": [
        ("api_key", "github.com", "octocat", "gho_canary1"),
        ("api_key", "git.corp.example", "worker", "gho_canary2"),
    ],
    "git-credentials": [
        ("api_key", "github.com", "octocat", "gho_canary1"),
        ("api_key", "gitlab.com", "me", "p@ss-canary2"),
        ("api_key", "git.corp.example", "me", "canary3"),
    ],
    "netrc": [
        ("api_key", "github.com", "octocat", "gho_canary1"),
        ("api_key", "ftp.corp.example", "me", "canary3"),
        ("api_key", "huggingface.co", None, "hf_canary2"),
    ],
    "codex": [("api_key", "openai-api", None, "sk-canary1"), ("read_only", "openai-codex", None, "canary2")],
    "env": [("api_key", "openai-api", None, "sk-canary1"), ("api_key", "gitlab", None, "canary2")],
    "claude": [("read_only", "claude", None, "canary1")],
    "nexus": [("api_key", "nexusmods", None, "canary1")],
    "emailproxy": [("sign_in", "oauth2.googleapis.com", "me@example.org", None)],
}


def read(source: str, text: str) -> list[Entry]:
    known = parser_of("file", text, VARIABLES, source)
    assert known is not None
    return list(known[1](text))


def told(entry: Entry) -> tuple[str, str | None, str | None, str | None]:
    return (
        entry.way,
        entry.host or entry.provider,
        entry.username,
        entry.secret.reveal() if entry.secret else None,
    )


@pytest.mark.parametrize("source", FILES)
def test_what_is_in_the_files_is_found(source: str) -> None:
    entries = read(source, FILES[source])
    assert [told(entry) for entry in entries] == EXPECTED[source]
    assert all(entry.reason for entry in entries if entry.way != "api_key")
    for entry in entries:
        assert "canary" not in repr(entry)
        assert "canary" not in entry.reason


def test_an_email_proxys_registration_comes_along() -> None:
    (entry,) = read("emailproxy", FILES["emailproxy"])
    assert (entry.client_id, entry.scopes) == ("proxy-client", ("https://mail.google.com/",))
    assert entry.client_secret == Secret("canary-client")


@pytest.mark.parametrize("source", FILES)
def test_the_kind_of_file_is_seen(source: str) -> None:
    known = parser_of("something", FILES[source], VARIABLES)
    assert known is not None
    assert known[0] == source


@pytest.mark.parametrize(
    ("name", "source"),
    [(".netrc", "netrc"), ("hosts.yml", "gh"), (".env", "env"), (".env.local", "env"), ("prod.env", "env")],
)
def test_some_files_are_known_by_name(name: str, source: str) -> None:
    known = parser_of(name, "", VARIABLES)
    assert known is not None
    assert known[0] == source


def test_prose_is_no_store() -> None:
    assert parser_of("notes.txt", "Dear all,\nthe key is under the mat.\n", VARIABLES) is None
    assert parser_of("notes.txt", "", VARIABLES, "floppy") is None


@given(st.sampled_from(["env", *FORMATS]), st.text(max_size=300))
def test_any_text_is_read_without_failing(source: str, text: str) -> None:
    for entry in read(source, text):
        assert entry.secret is None or len(entry.secret) > 0


@given(st.text(max_size=80))
def test_any_line_of_an_environment_file(line: str) -> None:
    list(environment(f"HF_TOKEN={line}", VARIABLES))


def test_a_nested_bomb_is_nothing() -> None:
    for source in ("nexus", "codex", "keyfob", "claude"):
        assert read(source, '{"a":' * 100_000) == []
        assert read(source, "[" * 100_000) == []


MOVABLE = [source for source, entries in EXPECTED.items() if any(entry[0] == "api_key" for entry in entries)]


@pytest.mark.parametrize("source", MOVABLE)
def test_blanking_takes_out_what_was_moved_and_leaves_a_readable_file(source: str, tmp_path: Path) -> None:
    path = tmp_path / "store"
    path.write_text(FILES[source])
    path.chmod(0o640)
    entries = read(source, FILES[source])
    moved = [entry for entry in entries if entry.way == "api_key"][:1]
    plaintext.blank(path, [(entry.raw, entry.filler) for entry in moved if entry.raw])
    text = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o640
    for entry in moved:
        assert entry.secret is not None
        assert entry.secret.reveal() not in text
    left = [each for each in (told(entry) for entry in read(source, text)) if each[3] != "moved-to-keyfob"]
    assert left == EXPECTED[source][1:]
    assert list(tmp_path.iterdir()) == [path], "no backup"


def test_blanking_overwrites_the_bytes_where_they_stood(tmp_path: Path) -> None:
    """The old file's own blocks no longer hold the key: seen through a second name of the same file."""
    path, second = tmp_path / ".env", tmp_path / "same"
    path.write_text("OPENAI_API_KEY=sk-canary1\nOTHER=1\n")
    second.hardlink_to(path)
    plaintext.blank(path, [(Secret("sk-canary1"), "")])
    assert path.read_text() == "OPENAI_API_KEY=\nOTHER=1\n"
    assert "canary" not in second.read_text()
