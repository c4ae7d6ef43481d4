"""What other tools' files hold: found whatever their spelling, nothing guessed, nothing told but a tail."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.core.secret import Secret
from keyfob.tools.entries import Entry, entries_of
from keyfob.tools.environment import environment
from keyfob.tools.netrc import MOVED
from keyfob.tools.registry import FORMATS, format_of
from keyfob.tools.yaml_places import tree_of

tree_of("")  # loads PyYAML, which on a busy machine takes longer than one example of a property may
SOURCES = ["env", *(each.source for each in FORMATS)]
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


def read(source: str, text: str | bytes) -> list[Entry]:
    known = format_of("file", "", VARIABLES, source)
    assert known is not None
    return entries_of(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text, known.parse)


def blanked(data: bytes, entries: list[Entry]) -> bytes:
    """The content with the entries' spans replaced."""
    for span in sorted({each for entry in entries for each in entry.spans}, key=lambda each: -each.start):
        data = data[: span.start] + span.filler + data[span.end :]
    return data


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
    known = format_of("something", FILES[source], VARIABLES)
    assert known is not None
    assert known.source == source


@pytest.mark.parametrize(
    ("name", "source"),
    [(".netrc", "netrc"), ("hosts.yml", "gh"), (".env", "env"), (".env.local", "env"), ("prod.env", "env")],
)
def test_some_files_are_known_by_name(name: str, source: str) -> None:
    known = format_of(name, "", VARIABLES)
    assert known is not None
    assert known.source == source


def test_prose_is_no_store() -> None:
    assert format_of("notes.txt", "Dear all,\nthe key is under the mat.\n", VARIABLES) is None
    assert format_of("notes.txt", "", VARIABLES, "floppy") is None


@given(st.sampled_from(SOURCES), st.text(max_size=300))
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


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("source", MOVABLE)
def test_s79_a_file_without_its_first_key_still_holds_the_others(source: str, bom: bytes, end: str) -> None:
    data = bom + FILES[source].replace("\n", end).encode()
    entries = read(source, data)
    assert [told(entry) for entry in entries] == EXPECTED[source]
    first = next(entry for entry in entries if entry.way == "api_key")
    after = blanked(data, [first])
    assert first.secret is not None
    assert first.secret.reveal().encode() not in after
    assert [told(entry) for entry in read(source, after)] == EXPECTED[source][1:]


@pytest.mark.parametrize(
    ("source", "data", "after"),
    [
        # The same password at two servers: only the first is moved.
        (
            "git-credentials",
            b"https://bob:hunter2hunter2@a.example\nhttps://bob:hunter2hunter2@b.example\n",
            b"https://bob:hunter2hunter2@b.example\n",
        ),
        ("git-credentials", b"https://me:k@a.example", b""),
        (
            "env",
            b"OPENAI_API_KEY=sk-abc\nOTHER=sk-abc-and-more\nNOTE=rotate sk-abc soon\n",
            b"OPENAI_API_KEY=\nOTHER=sk-abc-and-more\nNOTE=rotate sk-abc soon\n",
        ),
        ("env", b"export OPENAI_API_KEY = 'a b' # a b\r\n", b"export OPENAI_API_KEY = '' # a b\r\n"),
        ("env", b"OPENAI_API_KEY=abc#def", b"OPENAI_API_KEY="),
        ("env", '# é\n\xa0OPENAI_API_KEY="é"\n'.encode(), '# é\n\xa0OPENAI_API_KEY=""\n'.encode()),
        (
            "netrc",
            b"machine hub.com login git password git\nmachine github.com login bob password x",
            b"machine hub.com login git password moved-to-keyfob\nmachine github.com login bob password x",
        ),
        (
            "netrc",
            b"machine a.example password 'a b' # a b\n\xff\n",
            b"machine a.example password 'moved-to-keyfob' # a b\n\xff\n",
        ),
        ("netrc", b"machine a.example password it's", b"machine a.example password moved-to-keyfob"),
        (
            "gh",
            b"# gho_1\na.example:\n    users:\n        bob:\n            oauth_token: gho_1\n    "
            b"oauth_token: gho_1 # gho_1\n"
            b"    user: bob\nb.example:\n    oauth_token: gho_1\n",
            b"# gho_1\na.example:\n    users:\n        bob:\n            oauth_token: \n    oauth_token:  "
            b"# gho_1\n"
            b"    user: bob\nb.example:\n    oauth_token: gho_1\n",
        ),
        # Other ways to write the same, and what is not the text of a token.
        (
            "gh",
            b'a.example: {"user": bob, "oauth_token": "g\\x68o_1"} # gho_1\n',
            b'a.example: {"user": bob, "oauth_token": ""} # gho_1\n',
        ),
        (
            "gh",
            b"a.example:\n  users: {bob: {oauth_token: &t gho_1}, eve: {oauth_token: null}}\n  "
            b"oauth_token: |\n    gho_1\n"
            b"b.example:\n  oauth_token: gho_2\n",
            b"a.example:\n  users: {bob: {oauth_token: &t gho_1}, eve: {oauth_token: null}}\n  "
            b"oauth_token: |\n    gho_1\n"
            b"b.example:\n  oauth_token: \n",
        ),
        (
            "codex",
            rb'{"": {"OPENAI_API_KEY": "k"}, "OPENAI_API_KEY": "\u006b", "note": "k"}',
            rb'{"": {"OPENAI_API_KEY": "k"}, "OPENAI_API_KEY": "", "note": "k"}',
        ),
        (
            "nexus",
            b'{"k": "k", "a": [1, {"api_key": ["k"]}, null], "b": {"k": -1.5e3}}',
            b'{"k": "k", "a": [1, {"api_key": [""]}, null], "b": {"k": -1.5e3}}',
        ),
    ],
)
def test_s79_only_the_bytes_of_the_secret_change(source: str, data: bytes, after: bytes) -> None:
    entries = [each for each in read(source, data) if each.way == "api_key"]
    assert blanked(data, entries[:1]) == after


# What may stand around an entry in each format: text that its secret, "git", is part of too.
AROUND = st.lists(
    st.sampled_from(
        [
            b"# git\n",
            b"\n",
            b"\r\n",
            b"# \xff\xfe git \x00\n",
            "# gít \u2028 git\n".encode(),
            b"legit=digit\n",
        ]
    ),
    max_size=5,
).map(b"".join)
ENTRIES = {
    "git-credentials": (b"", b"https://git:git@git.example\n", b""),
    "env": (b"HF_TOKEN=", b"git", b"\n"),
    "netrc": (b"machine git.example login git password ", b"git", b"\n"),
    "gh": (b"git.example:\n    user: git\n    oauth_token: '", b"git", b"'\n"),
}
FILLERS = {"netrc": MOVED.encode()}


@given(st.sampled_from(sorted(ENTRIES)), st.booleans(), AROUND, AROUND)
def test_s79_whatever_stands_around_a_secret_stays(
    source: str, bom: bool, before: bytes, behind: bytes
) -> None:
    start, secret, end = ENTRIES[source]
    if source == "gh":  # this line would not be YAML
        before, behind = (each.replace(b"legit=digit", b"'legit': digit") for each in (before, behind))
    head = (b"\xef\xbb\xbf" if bom else b"") + before + start
    (entry,) = read(source, head + secret + end + behind)
    assert entry.secret == Secret("git")
    assert blanked(head + secret + end + behind, [entry]) == head + FILLERS.get(source, b"") + end + behind


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.text(min_size=1, max_size=12), JSON, st.booleans(), st.sampled_from([None, 2, "\t"]))
def test_s79_in_json_one_string_alone_changes(
    before: object, key: str, after: object, ascii_only: bool, indent: int | str | None
) -> None:
    def file(value: str) -> bytes:
        body = {"a": before, "OPENAI_API_KEY": value, "z": after}
        return json.dumps(body, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")

    entries = [each for each in read("codex", file(key)) if each.provider == "openai-api"]
    assert [each.secret for each in entries] == [Secret(key)]
    assert blanked(file(key), entries) == file("")


@given(st.sampled_from(SOURCES), st.binary(max_size=200))
def test_s79_any_bytes_are_read_without_failing_and_spans_lie_apart(source: str, data: bytes) -> None:
    at = 0
    for span in sorted((span for entry in read(source, data) for span in entry.spans), key=lambda s: s.start):
        assert at <= span.start < span.end <= len(data)
        at = span.end


def test_what_was_moved_is_not_found_again() -> None:
    data = FILES["netrc"].encode()
    assert read("netrc", blanked(data, read("netrc", data))) == []
