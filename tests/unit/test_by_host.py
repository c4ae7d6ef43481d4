"""Which account a tool means that asks by address: the table's hosts and
names, and nothing that only looks alike.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from keyfob.cli import docker_credential, git_credential, host_lookup, keyring_command
from keyfob.client import tokens
from keyfob.core.errors import SignInNeeded
from keyfob.core.resources import resources
from keyfob.providers.catalogue import Catalogue
from keyfob.tools import hosts

TOKEN = "canary-token"


def account(provider: str, label: str, *hosts: str, **more: Any) -> dict[str, Any]:
    row = {"id": f"{provider}/{label}", "provider": provider, "label": label, "hosts": list(hosts)}
    return {**row, "status": "connected", "shareable": True, "renewable": True, **more}


ACCOUNTS = [
    account("github", "octocat", "api.github.com", "github.com"),
    account("gitlab", "me", "gitlab.com"),
    account("gitlab", "work", "git.corp.example"),
    account("bitbucket", "bee", "api.bitbucket.org"),
    account("codeberg", "cat", "codeberg.org"),
    account("gitea", "dog", "gitea.example.org:3000"),
    account("openai", "x", "api.openai.com", shareable=False),
    account("mine", "own", "git.mine.example"),
]


@pytest.fixture(autouse=True)
def accounts(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    rows = [dict(row) for row in ACCOUNTS]
    monkeypatch.setattr(tokens, "accounts", lambda: rows)
    monkeypatch.setattr(
        tokens, "lease", lambda ref, **_: {"token": f"{TOKEN}-of-{ref}", "expires_at": "2026-11-20T12:00:00Z"}
    )
    return rows


def git(asked: str, monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    class Stdin:
        buffer = io.BytesIO(asked.encode())

    out = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", Stdin)
        patch.setattr(sys, "stdout", out)
        assert git_credential.main([*words, "get"]) == 0
    return out.getvalue()


@pytest.mark.parametrize(
    ("host", "name", "ref"),
    [
        ("github.com", "x-access-token", "github/octocat"),
        ("GitHub.com", "x-access-token", "github/octocat"),
        ("gist.github.com", "x-access-token", "github/octocat"),
        ("gitlab.com", "oauth2", "gitlab/me"),
        ("git.corp.example", "oauth2", "gitlab/work"),
        ("bitbucket.org", "x-token-auth", "bitbucket/bee"),
        ("codeberg.org", "oauth2", "codeberg/cat"),
        ("gitea.example.org:3000", "oauth2", "gitea/dog"),
        ("git.mine.example", "own", "mine/own"),
    ],
)
def test_git_gets_the_name_that_goes_with_the_token(
    host: str, name: str, ref: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = git(f"protocol=https\nhost={host}\n\n", monkeypatch)
    assert told == f"username={name}\npassword={TOKEN}-of-{ref}\npassword_expiry_utc=1795176000\n"


def test_a_key_may_go_with_another_name_than_a_sign_in(
    accounts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts[3]["method"] = "api_key"
    for user in ("", "x-token-auth@", "x-bitbucket-api-token-auth@"):
        told = git(f"url=https://{user}bitbucket.org/a\n\n", monkeypatch)
        assert told.startswith(f"username=x-bitbucket-api-token-auth\npassword={TOKEN}-of-bitbucket/bee\n")


@pytest.mark.parametrize(
    "asked",
    [
        "protocol=http\nhost=github.com\n\n",
        "protocol=https\nhost=github.com.evil.example\n\n",
        "protocol=https\nhost=evilgithub.com\n\n",
        "protocol=https\nhost=github.com@evil.example\n\n",
        "protocol=https\nhost=github.com:8443\n\n",
        "protocol=https\nhost=gitea.example.org\n\n",
        "protocol=https\nhost=gitea.example.org:3001\n\n",
        "protocol=http\nhost=127.0.0.1:80@evil.example\n\n",
        "protocol=https\nhost=api.openai.com\n\n",
        "protocol=\nhost=github.com\n\n",
        "url=https://github.com@evil.example/\n\n",
        "url=http://github.com/\n\n",
        "protocol=https\n\nhost=github.com\n\n",
        "\0\xff",
    ],
)
def test_nothing_that_only_looks_alike_is_answered(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git(asked, monkeypatch) == ""


def test_a_url_and_a_name_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "octocat" in git("url=https://github.com/a/b.git\n\n", monkeypatch)
    told = git("protocol=https\nhost=github.com\n\n", monkeypatch, "--username", "somebody")
    assert told.startswith("username=somebody\n")


@pytest.mark.parametrize("status", ["stale", "renewing"])
def test_another_persons_token_does_not_stand_in_while_one_cannot_be_renewed(
    accounts: list[dict[str, Any]],
    status: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    accounts.append(account("github", "work", "api.github.com", "github.com", status=status))
    assert git("protocol=https\nhost=github.com\n\n", monkeypatch) == ""
    assert "Use the label of one" in capsys.readouterr().err


def test_one_that_works_is_meant_rather_than_one_that_was_signed_out(
    accounts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.append(account("github", "old", "api.github.com", status="disconnected"))
    assert "of-github/octocat" in git("protocol=https\nhost=github.com\n\n", monkeypatch)
    accounts[-1]["status"] = "connected"
    assert git("protocol=https\nhost=github.com\n\n", monkeypatch) == ""
    assert "of-github/old" in git("protocol=https\nhost=github.com\nusername=Old\n\n", monkeypatch)


def test_a_failure_is_told_and_answered_with_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(ref: str, **_: Any) -> Any:
        raise SignInNeeded(f"The sign-in of {ref} has ended")

    monkeypatch.setattr(tokens, "lease", ended)
    assert git("protocol=https\nhost=github.com\n\n", monkeypatch) == ""
    assert "keyfob: The sign-in of github/octocat has ended. " in capsys.readouterr().err


def test_docker_lists_registries_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert docker_credential.main(["list"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "https://ghcr.io": "octocat",
        "https://registry.gitlab.com": "oauth2",
        "https://git.corp.example": "oauth2",
        "https://codeberg.org": "cat",
        "https://gitea.example.org:3000": "dog",
    }


def test_docker_lists_the_hosts_that_it_asks_keyfob_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"credHelpers": {"git.mine.example": "keyfob", "ghcr.io": "pass", "no.such.example": "keyfob"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert docker_credential.main(["list"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["https://git.mine.example"] == "own"
    assert "https://no.such.example" not in listed
    (tmp_path / "config.json").write_text("[")
    assert docker_credential.main(["list"]) == 0
    assert "https://git.mine.example" not in json.loads(capsys.readouterr().out)


def test_a_token_of_ones_own_server_does_not_go_to_the_public_registry(
    accounts: list[dict[str, Any]],
) -> None:
    accounts[:] = [row for row in accounts if row["id"] != "gitlab/me"]
    assert host_lookup.choose("registry.gitlab.com", "docker") is None
    found = host_lookup.choose("git.corp.example", "docker")
    assert found is not None
    assert found["id"] == "gitlab/work"


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("ghcr.io", "ghcr.io"),
        ("https://ghcr.io", "ghcr.io"),
        ("https://index.docker.io/v1/", "index.docker.io"),
        ("http://localhost:5000", "localhost:5000"),
        ("http://ghcr.io", ""),
        ("ftp://ghcr.io", ""),
        ("https://[", ""),
        ("", ""),
    ],
)
def test_a_registrys_address(address: str, host: str) -> None:
    assert docker_credential.registry(address) == (host, None)


SIMPLE = "https://gitlab.com/api/v4/projects/1/packages/pypi/simple"


def test_keyring_answers_an_address_of_an_account_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert keyring_command.main(["get", SIMPLE, "me"]) == 0
    assert capsys.readouterr().out == f"{TOKEN}-of-gitlab/me\n"
    for address in (
        "gitlab.com",
        "http://gitlab.com/simple",
        "https://packages.example.org/simple",
        "https://api.openai.com",
    ):
        assert keyring_command.main(["get", address, "me"]) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (("--mode=creds", "--output=json", "get", SIMPLE), {"username": "me", "password": TOKEN}),
        (("--mode", "creds", "--output", "json", "get", SIMPLE), {"username": "me", "password": TOKEN}),
        (
            ("--mode=creds", "--output=json", "get", SIMPLE, "__token__"),
            {"username": "__token__", "password": TOKEN},
        ),
        (("--output=json", "get", SIMPLE, "me"), {"password": TOKEN}),
        (("--mode=creds", "get", SIMPLE), f"me\n{TOKEN}\n"),
    ],
)
def test_keyring_answers_in_the_form_that_is_asked_for(
    words: tuple[str, ...],
    out: dict[str, str] | str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tokens, "lease", lambda ref, **_: {"token": TOKEN})
    assert keyring_command.main(words) == 0
    said = capsys.readouterr().out
    assert (json.loads(said) if isinstance(out, dict) else said) == out


@pytest.mark.parametrize(
    "words",
    [
        (), ("get",), ("get", SIMPLE), ("--mode=creds", "get"), ("--mode=other", "get", SIMPLE), ("--mode",),
        ("--output=json", "get", SIMPLE), ("--backend=x", "get", SIMPLE, "me"), ("get", SIMPLE, "me", "more"),
    ],
)  # fmt: skip
def test_keyring_does_nothing_else(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert keyring_command.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: keyring ")


def docker(address: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    class Stdin:
        buffer = io.BytesIO(address)

    monkeypatch.setattr(sys, "stdin", Stdin)
    docker_credential.main(["get"])
    return capsys.readouterr().out


def test_another_persons_token_is_never_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert git("protocol=https\nhost=github.com\nusername=mallory\n\n", monkeypatch) == ""
    assert "github.com has no account called mallory. It has github/octocat" in capsys.readouterr().err
    assert git("url=https://mall%6Fry\x1b@github.com/a\n\n", monkeypatch) == ""
    assert "called mallory\\x1b." in capsys.readouterr().err
    words = ("--account", "github/octocat")
    assert git("protocol=https\nhost=github.com\nusername=mallory\n\n", monkeypatch, *words) == ""
    assert "credentials not found" in docker(b"https://mallory@ghcr.io\n", monkeypatch, capsys)
    assert json.loads(docker(b"https://octocat@ghcr.io\n", monkeypatch, capsys))["Username"] == "octocat"
    for words in (("get", SIMPLE, "mallory"), ("--mode=creds", "get", SIMPLE.replace("//", "//mallory@"))):
        assert keyring_command.main(words) == 1
        assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "name",
    [
        "octocat",
        "OctoCat",
        "github/octocat",
        "Mona%20Lisa",
        "mona@example.org",
        "583231",
        "x-access-token",
        "git",
    ],
)
def test_an_account_answers_to_its_names_and_to_names_of_nobody(
    name: str, accounts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts[0] |= {"name": "Mona Lisa", "email": "mona@example.org", "subject": "583231"}
    url = f"url=https://{name.replace('@', '%40').replace('/', '%2F')}@github.com/a\n\n"
    assert "of-github/octocat" in git(url, monkeypatch)


def test_a_label_comes_before_another_accounts_name(
    accounts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.append(account("github", "second", "github.com", name="octocat"))
    assert "of-github/octocat" in git("protocol=https\nhost=github.com\nusername=octocat\n\n", monkeypatch)


def test_a_name_of_ones_own_setting_goes_with_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = "protocol=https\nhost=github.com\nusername=somebody\n\n"
    assert git(asked, monkeypatch, "--username", "somebody").startswith("username=somebody\n")


def test_an_address_that_is_none_gets_no_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert git("url=https://[\n\n", monkeypatch) == ""
    assert docker(b"https://[\n", monkeypatch, capsys).startswith("credentials not found")
    assert docker(b"\xff\n", monkeypatch, capsys).startswith("credentials not found")
    assert keyring_command.main(["get", "https://[", "me"]) == 1
    assert keyring_command.main(["--mode=creds", "get", "https://["]) == 1
    assert capsys.readouterr() == ("", "")


def test_the_table_names_providers_that_exist() -> None:
    known = Catalogue(resources() / "providers").ids()
    tables = [path.stem for path in (resources() / "tools").iterdir()]
    assert {"git", "docker", "npm", "env"} <= set(tables)
    for tool in tables:
        assert set(hosts.table(tool)) <= set(known)
    names = [name for each in hosts.table("env").values() for name in each]
    assert len(names) == len(set(names)), "a variable belongs to one provider"


REPO = {"id": "repo", "title": "Read and write your repositories"}
GISTS = {"id": "gists", "title": "Create and change gists"}


@pytest.mark.parametrize(
    ("tool", "row", "access"),
    [
        ("git", account("github", "a", access=[GISTS]), "repo"),
        ("git", account("github", "a", access=[]), "repo"),
        ("git", account("github", "a", access=[GISTS, REPO]), None),
        ("git", account("gitlab", "a", access=[{"id": "api", "title": "All"}]), None),
        ("docker", account("github", "a", access=[REPO]), "packages"),
        ("docker", account("github", "a", access=[{"id": "publish-packages", "title": "P"}]), None),
        ("npm", account("gitlab", "a", access=[REPO]), "read-api"),
        # What was granted is not known, or this tool needs nothing there.
        ("git", account("github", "a", access=None), None),
        ("git", account("github", "a"), None),
        ("git", account("forgejo", "a", access=[]), None),
        ("git", account("mine", "a", access=[]), None),
        ("curl", account("github", "a", access=[]), None),
    ],
)
def test_what_a_tool_lacks_is_known_by_the_table(tool: str, row: dict[str, Any], access: str | None) -> None:
    assert hosts.lacking(row, tool) == access


def test_git_gets_the_token_and_the_person_the_command(
    accounts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server decides what the token may do: Keyfob only says what will be missing."""
    accounts[0]["access"] = [GISTS]
    assert TOKEN in git("protocol=https\nhost=github.com\n\n", monkeypatch)
    assert capsys.readouterr().err == (
        "keyfob: github/octocat does not have the access that git needs (repo). To ask for it, run: "
        "keyfob reconnect github/octocat --access repo.\n"
    )
    accounts[0]["access"] = [REPO]
    assert TOKEN in git("protocol=https\nhost=github.com\n\n", monkeypatch)
    assert capsys.readouterr().err == ""


def test_the_table_names_access_that_the_presets_offer() -> None:
    catalogue = Catalogue(resources() / "providers")
    for tool in ("git", "docker", "npm"):
        for name, row in hosts.table(tool).items():
            offered = {each.id for each in catalogue.get(name).access}
            assert set(row.get("access", ())) <= offered, (tool, name)
            assert not offered or row.get("access"), (
                f"{tool} says nothing of the access that it needs at {name}"
            )


def test_two_accounts_of_one_label_are_told_apart_by_their_ids(
    accounts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    accounts += [account("dyn", "alice", "git.two.example"), account("work", "alice", "git.two.example")]
    asked = "protocol=https\nhost=git.two.example\n"
    assert git(asked, monkeypatch) == git(f"{asked}username=alice\n", monkeypatch) == ""
    said = capsys.readouterr().err
    assert said.count("dyn/alice, work/alice. Use the id of one as the username") == 2
    assert "dyn%2Falice" in said
    assert f"password={TOKEN}-of-work/alice\n" in git(f"{asked}username=work/alice\n", monkeypatch)
    # As pip asks: with the address's username, decoded.
    assert keyring_command.main(["get", "https://git.two.example/simple", "work/alice"]) == 0
    assert capsys.readouterr().out == f"{TOKEN}-of-work/alice\n"
    assert keyring_command.main(["--mode=creds", "get", "https://work%2Falice@git.two.example/simple"]) == 0
    assert f"{TOKEN}-of-work/alice" in capsys.readouterr().out
    assert keyring_command.main(["get", "https://git.two.example/simple", "__token__"]) == 1
    assert capsys.readouterr().out == ""
