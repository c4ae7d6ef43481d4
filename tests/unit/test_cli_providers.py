"""`keyfob providers`: lists, shows, judges and writes presets, against a scripted server."""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keyfob.core.errors import KeychainError
from keyfob.core.http import Request, Response
from keyfob.core.resources import resources
from keyfob.core.secret import Secret
from keyfob.core.settings import Settings
from keyfob.engine import Engine, build
from support.cli_run import opens, run
from support.fake_ports import NOW, FakeVault, ScriptedTransport, fake_ports
from support.running import Ran

ISSUER = "https://id.example"
OPENID = ISSUER + "/.well-known/openid-configuration"
OAUTH = ISSUER + "/.well-known/oauth-authorization-server"
METADATA: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": ISSUER + "/authorize",
    "token_endpoint": ISSUER + "/token",
    "userinfo_endpoint": ISSUER + "/me",
    "jwks_uri": ISSUER + "/jwks",
    "revocation_endpoint": ISSUER + "/revoke",
    "scopes_supported": ["openid", "email", "offline_access", "other"],
    "code_challenge_methods_supported": ["S256"],
}


@dataclass
class Server:
    """A transport's answers: these documents, and 404 for the rest. `asked`: the addresses that were read."""

    documents: dict[str, dict[str, Any]] = field(default_factory=lambda: {OPENID: METADATA})
    asked: list[str] = field(default_factory=list)

    def __call__(self, request: Request) -> Response:
        self.asked.append(request.url)
        found = self.documents.get(request.url)
        return Response(
            200 if found else 404,
            {"content-type": "application/json"},
            json.dumps(found or {}).encode(),
            NOW,
            request.url,
        )


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def vault() -> FakeVault:
    return FakeVault()


@pytest.fixture
def engine(tmp_path: Path, server: Server, vault: FakeVault) -> Engine:
    return build(fake_ports(tmp_path, transport=ScriptedTransport(server), vault=vault))


def written_file(engine: Engine, name: str) -> dict[str, Any]:
    return tomllib.loads((engine.home.config / "providers" / f"{name}.toml").read_text())


def call(engine: Engine, *argv: str, stdin: str = "") -> Ran:
    return run(["providers", *argv], opens(engine), stdin=stdin)


def test_a_server_that_speaks_openid_needs_its_issuer_alone(engine: Engine) -> None:
    ran = call(
        engine, "add", "work", "--issuer", ISSUER, "--client-id", "cid", "--title", 'The "Work" server'
    )
    assert ran.code == 0, ran.err
    assert written_file(engine, "work") == {
        "id": "work",
        "title": 'The "Work" server',
        "category": "custom",
        "methods": ["oauth"],
        "issuer": ISSUER,
        "discovery": "openid",
        "scopes": ["openid", "email", "offline_access"],
        "policy": {"client_id": "user"},
        "client": {"client_id": "cid", "auth": "none"},
        "redirect": {"host": "127.0.0.1", "port": "setting", "path": "/callback"},
        "authorize_params": {"prompt": "consent"},
        "identity": {"source": "userinfo"},
        "revocation": {"style": "rfc7009"},
    }
    engine.settings.save(Settings(callback_port=9191), Settings())
    assert engine.providers.get("work").title == 'The "Work" server'
    assert "keyfob connect work" in ran.err
    shown = call(engine, "show", "work")
    assert "http://127.0.0.1:9191/callback" in shown.out
    assert "your own" in shown.out
    listed = {entry["id"]: entry for entry in json.loads(call(engine, "list", "--json").out)["providers"]}
    assert listed["work"]["client_id_policy"] == "user"
    assert listed["work"]["needs_registration"] is False
    assert listed["work"]["origin"] == "user"


def test_a_client_that_proves_itself_by_a_key(engine: Engine) -> None:
    words = ("add", "work", "--issuer", ISSUER, "--client-id", "cid", "--client-auth", "private_key_jwt")
    ran = call(engine, *words)
    assert ran.code == 0, ran.err
    assert written_file(engine, "work")["client"] == {
        "client_id": "cid",
        "auth": "private_key_jwt",
        "alg": "ES256",
    }
    assert "keyfob jwk generate --provider work" in ran.err
    both = call(engine, *words, "--client-secret-stdin", "--replace", stdin="s3cret\n")
    assert both.code == 2
    assert "uses a key, not a client secret" in both.err


@pytest.mark.parametrize("secret", ["h\u00e4mmer", "a\0b", "tab\tbed", "\u201cquoted\u201d"])
def test_a_client_secret_that_can_be_none_is_a_mistake_of_the_request(engine: Engine, secret: str) -> None:
    ran = call(
        engine, "add", "work", "--issuer", ISSUER, "--client-id", "cid", "--client-secret-stdin",
        stdin=secret + "\n"
    )  # fmt: skip
    assert (ran.code, ran.out) == (2, "")
    assert "must be printable ASCII" in ran.err
    assert secret not in ran.err
    assert not (engine.home.config / "providers" / "work.toml").exists()


@pytest.mark.parametrize(("port", "written"), [("0", ("any", None)), ("8123", ("fixed", [8123]))])
def test_the_redirect_is_as_told(engine: Engine, port: str, written: tuple[str, list[int] | None]) -> None:
    more = ("--redirect-host", "localhost", "--redirect-port", port, "--redirect-path", "/back")
    assert call(engine, "add", "work", "--issuer", ISSUER, "--client-id", "c", *more).code == 0
    redirect = written_file(engine, "work")["redirect"]
    assert (redirect["port"], redirect.get("ports")) == written
    assert (redirect["host"], redirect["path"]) == ("localhost", "/back")


def test_the_address_of_the_metadata_will_do_as_the_issuer(engine: Engine) -> None:
    assert call(engine, "add", "work", "--issuer", OPENID, "--client-id", "c").code == 0
    assert written_file(engine, "work")["issuer"] == ISSUER


def test_a_server_with_oauth_metadata_alone(engine: Engine, server: Server) -> None:
    server.documents.clear()
    server.documents[OAUTH] = {k: v for k, v in METADATA.items() if k not in ("jwks_uri", "scopes_supported")}
    assert call(engine, "add", "work", "--issuer", ISSUER, "--client-id", "c", "--scope", "read").code == 0
    written = written_file(engine, "work")
    assert (written["discovery"], written["scopes"]) == ("oauth", ["read"])
    assert server.asked == [OPENID, OAUTH]


def test_a_server_without_metadata_by_its_endpoints(engine: Engine, server: Server) -> None:
    ran = call(
        engine, "add", "old", "--client-id", "42", "--authorization-endpoint", "https://a.example/auth",
        "--token-endpoint", "https://a.example/token", "--whoami-url", "https://a.example/me",
        "--subject-field", "user.id",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    written = written_file(engine, "old")
    assert written["endpoints"]["token_endpoint"] == "https://a.example/token"
    assert written["identity"] == {
        "source": "request",
        "url": "https://a.example/me",
        "map": {"subject": "user.id"},
    }
    assert server.asked == []


def test_a_client_secret_goes_to_the_keychain_and_not_into_the_file(engine: Engine, server: Server) -> None:
    server.documents[OPENID] = METADATA | {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    ran = call(
        engine,
        "add",
        "work",
        "--issuer",
        ISSUER,
        "--client-id",
        "c",
        "--client-secret-stdin",
        stdin="canary\n",
    )
    assert ran.code == 0, ran.err
    assert engine.vault.load("client/work") == Secret("canary")
    assert written_file(engine, "work")["client"] == {
        "client_id": "c",
        "auth": "client_secret_post",
        "secret": "required",
    }
    assert "canary" not in (engine.home.config / "providers" / "work.toml").read_text() + ran.out + ran.err


def test_without_a_keychain_for_the_secret_nothing_is_written(engine: Engine, vault: FakeVault) -> None:
    vault.error = KeychainError("The keychain is locked", code="keychain_locked")
    ran = call(
        engine,
        "add",
        "work",
        "--issuer",
        ISSUER,
        "--client-id",
        "c",
        "--client-secret-stdin",
        stdin="canary\n",
    )
    assert (ran.code, ran.out) == (4, "")
    assert list((engine.home.config / "providers").iterdir()) == []


def test_a_device_grant_in_the_metadata_is_offered(engine: Engine, server: Server) -> None:
    server.documents[OPENID] = METADATA | {"device_authorization_endpoint": ISSUER + "/device"}
    assert json.loads(call(engine, "add", "work", "--issuer", ISSUER, "--client-id", "c", "--json").out)[
        "methods"
    ] == ["oauth", "device"]


def test_registration_by_itself_needs_no_client_id(engine: Engine, server: Server) -> None:
    server.documents[OPENID] = METADATA | {"registration_endpoint": ISSUER + "/register"}
    assert call(engine, "add", "work", "--issuer", ISSUER, "--register").code == 0
    assert written_file(engine, "work")["policy"] == {"client_id": "dynamic"}


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["add", "Work", "--issuer", ISSUER, "--client-id", "c"], 2, "not a provider id"),
        (["add", "../x", "--issuer", ISSUER, "--client-id", "c"], 2, "not a provider id"),
        (["add", "work", "--issuer", ISSUER], 2, "client id is missing"),
        (["add", "work", "--client-id", "c"], 2, "server is missing"),
        (["add", "work", "--client-secret-stdin"], 2, "needs --client-id"),
        (["add", "work", "--issuer", "http://id.example", "--client-id", "c"], 8, ""),
        (["add", "work", "--issuer", "https://other.example", "--client-id", "c"], 9, "metadata"),
        (["add", "work", "--issuer", ISSUER + "/", "--client-id", "c"], 9, "another issuer"),
        (["add", "work", "--issuer", ISSUER, "--client-id", "c", "--redirect-path", "no path"], 8,
         "redirect.path"),
        (["add", "work", "--client-id", "c", "--token-endpoint", "https://a.example/t"], 8,
         "authorization_endpoint"),
        (["show", "nosuch"], 7, "nosuch"),
        (["check", "/nonexistent/x.toml"], 2, "cannot be read"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_writes_nothing(
    engine: Engine, argv: list[str], code: int, said: str
) -> None:
    ran = call(engine, *argv)
    assert (ran.code, ran.out) == (code, ""), ran.err
    assert said in ran.last
    folder = engine.home.config / "providers"
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_preset_of_ones_own_is_not_replaced_unasked(engine: Engine) -> None:
    assert call(engine, "add", "work", "--issuer", ISSUER, "--client-id", "one").code == 0
    again = call(engine, "add", "work", "--issuer", ISSUER, "--client-id", "two")
    assert again.code == 2
    assert "--replace" in again.last
    assert written_file(engine, "work")["client"]["client_id"] == "one"
    assert call(engine, "add", "work", "--issuer", ISSUER, "--client-id", "two", "--replace").code == 0
    assert written_file(engine, "work")["client"]["client_id"] == "two"


def test_check_names_every_fault_with_its_key_and_what_it_should_be(engine: Engine, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('id = "bad"\ntitle = "Bad"\ncolour = "#fff"\npkce = "plain"\n')
    ran = call(engine, "check", str(bad))
    assert (ran.code, ran.out) == (8, "")
    assert "bad.toml: colour: " in ran.err
    assert "bad.toml: pkce: " in ran.err
    assert ran.last.startswith("keyfob: bad.toml has ")
    told = json.loads(call(engine, "check", str(bad), "--json").err)
    assert told["code"] == "preset_faulty"
    assert {"colour", "pkce"} <= {fault["key"] for fault in told["faults"]}
    good = resources() / "demo" / "demo.toml"
    assert call(engine, "check", str(good)).out == "demo.toml is valid.\n"
    assert json.loads(call(engine, "check", str(good), "--json").out)["ok"] is True
    count = len(engine.providers.ids())
    assert call(engine, "check").out == f"All {count} presets are valid.\n"
    assert json.loads(call(engine, "check", "--json").out) == {"ok": True, "faults": [], "presets": count}
    own = engine.home.config / "providers"
    own.mkdir(parents=True, exist_ok=True)
    (own / "bad.toml").write_bytes(bad.read_bytes())
    every = call(engine, "check")
    assert (every.code, every.out) == (8, "")
    assert "bad.toml: " in every.err
    github = resources() / "providers" / "github.toml"
    shown = call(engine, "check", str(github)).out.splitlines()
    assert shown[:2] == [
        "github.toml is valid.",
        "  repo: Read and write your repositories, private ones too (repo)",
    ]
    assert "packages" in json.loads(call(engine, "check", str(github), "--json").out)["access"]


def test_show_lists_the_access_that_can_be_asked_for(engine: Engine) -> None:
    shown = call(engine, "show", "github").out
    assert "  Access, for keyfob connect --access NAME:\n" in shown
    assert "repo              Read and write your repositories, private ones too  default" in shown
    assert "delete-repos      Delete repositories                                 Cannot be undone" in shown
    first = json.loads(call(engine, "show", "github", "--json").out)["access"][0]
    assert first == {
        "id": "repo",
        "title": "Read and write your repositories, private ones too",
        "allows": "git clone, fetch and push, issues and pull requests",
        "scopes": ["repo"],
        "default": True,
        "risky": None,
    }


def test_a_faulty_file_is_told_beside_the_list(engine: Engine) -> None:
    folder = engine.home.config / "providers"
    folder.mkdir(parents=True)
    (folder / "torn.toml").write_text("id = ")
    ran = call(engine, "list")
    assert ran.code == 0
    assert "Ignored: torn.toml" in ran.err
    assert json.loads(call(engine, "list", "--json").out)["faults"][0]["file"] == "torn.toml"


def test_every_preset_of_ours_can_be_shown(engine: Engine) -> None:
    for provider in engine.providers.all():
        assert call(engine, "show", provider.id).out.startswith(provider.title)
        assert json.loads(call(engine, "show", provider.id, "--json").out)["preset"]["id"] == provider.id


def test_the_api_s_hosts_and_the_resource_are_written(engine: Engine) -> None:
    words = ("--api-base", "https://api.example/v1", "--api-host", "files.example", "--resource", "api://one")
    ran = call(engine, "add", "work", "--issuer", ISSUER, "--client-id", "c", *words,
               "--whoami-url", "https://who.example/me")  # fmt: skip
    assert ran.code == 0, ran.err
    written = written_file(engine, "work")
    assert written["api"] == {"base": "https://api.example/v1", "hosts": ["files.example", "who.example"]}
    assert written["resource"] == "api://one"
    assert engine.providers.get("work").resource == "api://one"


def test_the_formats_of_llm_requests_are_written(engine: Engine) -> None:
    words = ("--api-base", "https://api.example/v1", "--format", "openai_chat=https://api.example/v1")
    ran = call(engine, "add", "work", "--issuer", ISSUER, "--client-id", "c", *words)
    assert ran.code == 0, ran.err
    assert written_file(engine, "work")["formats"] == {"openai_chat": "https://api.example/v1"}
    assert engine.providers.get("work").formats.openai_chat == "https://api.example/v1"


def test_a_format_that_does_not_exist_is_refused(engine: Engine) -> None:
    ran = call(
        engine, "add", "work", "--issuer", ISSUER, "--client-id", "c", "--format", "chat=https://a.example"
    )
    assert ran.code == 2
    assert "openai_chat, openai_responses, anthropic_messages" in ran.err


def test_a_preset_of_keyfob_is_not_shadowed_unasked(engine: Engine) -> None:
    words = ("add", "github", "--issuer", ISSUER, "--client-id", "c")
    refused = call(engine, *words)
    assert refused.code == 2
    assert "Keyfob already has a provider github. To replace it, add --replace." in refused.err
    assert not (engine.home.config / "providers").exists()
    assert call(engine, *words, "--replace").code == 0
    assert engine.providers.get("github").origin == "user"


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """stdin counts as a terminal, and a hidden answer is read from it."""
    stream = SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("keyfob.cli.new_provider.sys", stream)
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _prompt: sys.stdin.readline().rstrip("\n"))


@pytest.mark.usefixtures("at_terminal")
def test_on_a_terminal_the_user_may_shadow_a_preset(engine: Engine) -> None:
    words = ("add", "github", "--issuer", ISSUER, "--client-id", "c")
    refused = call(engine, *words, stdin="n\n")
    assert (refused.code, refused.out) == (6, "")
    assert "Keyfob already has a provider github." in refused.err
    assert engine.providers.get("github").origin == "keyfob"
    assert call(engine, *words, stdin="y\n").code == 0
    assert engine.providers.get("github").origin == "user"


@pytest.mark.usefixtures("at_terminal")
def test_new_asks_and_writes_what_was_answered(engine: Engine, vault: FakeVault) -> None:
    answers = ("My Server!", "work", "The Work server", "ftp://id.example", "https://other.example", ISSUER,
               "cid", "s3cret", "", "", "https://api.example/v1")  # fmt: skip
    ran = call(engine, "new", stdin="\n".join(answers) + "\n")
    assert ran.code == 0, ran.err
    assert "Use lower-case letters, digits and single hyphens. Try again." in ran.err
    assert "It is not https. Try again." in ran.err
    assert "https://other.example has no discovery document." in ran.err
    assert "with the redirect http://127.0.0.1:9876/callback" in ran.err
    written = written_file(engine, "work")
    assert (written["title"], written["issuer"], written["discovery"]) == (
        "The Work server",
        ISSUER,
        "openid",
    )
    assert written["scopes"] == ["openid", "profile", "email"]
    assert written["client"]["client_id"] == "cid"
    assert written["api"] == {"base": "https://api.example/v1"}
    assert written["identity"] == {"source": "userinfo"}
    provider = engine.providers.get("work")
    assert engine.clients.known(provider, {}) is not None
    assert "s3cret" not in (engine.home.config / "providers" / "work.toml").read_text()
    assert "s3cret" not in ran.err + ran.out


@pytest.mark.usefixtures("at_terminal")
def test_new_asks_for_the_addresses_of_a_server_without_metadata(engine: Engine) -> None:
    answers = ("Old", "", "https://a.example/auth", "https://a.example/token", "42", "", "read write",
               "https://a.example/me", "user.id", "")  # fmt: skip
    ran = call(engine, "new", "old", stdin="\n".join(answers) + "\n")
    assert ran.code == 0, ran.err
    written = written_file(engine, "old")
    assert written["endpoints"] == {
        "authorization_endpoint": "https://a.example/auth",
        "token_endpoint": "https://a.example/token",
    }
    assert written["scopes"] == ["read", "write"]
    assert written["identity"] == {
        "source": "request",
        "url": "https://a.example/me",
        "map": {"subject": "user.id"},
    }


@pytest.mark.usefixtures("at_terminal")
def test_new_asks_before_it_replaces_a_preset(engine: Engine) -> None:
    assert call(engine, "add", "work", "--issuer", ISSUER, "--client-id", "first").code == 0
    refused = call(engine, "new", "work", stdin="n\n")
    assert refused.code == 6
    assert "Your own provider work already exists." in refused.err
    assert written_file(engine, "work")["client"]["client_id"] == "first"


def test_new_without_a_terminal_says_what_is_missing_and_takes_options(engine: Engine) -> None:
    asked = call(engine, "new", "--issuer", ISSUER)
    assert (asked.code, asked.out) == (2, "")
    assert "Keyfob cannot ask questions without a terminal. Add ID, --client-id" in asked.err
    ran = call(engine, "new", "work", "--issuer", ISSUER, "--client-id", "c", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["file"].endswith("work.toml")
    assert call(engine, "new", "work", "--issuer", ISSUER, "--client-id", "c", "--json").code == 2


@pytest.mark.usefixtures("at_terminal")
def test_new_goes_on_after_a_server_that_does_not_answer(tmp_path: Path) -> None:
    engine = build(fake_ports(tmp_path, transport=ScriptedTransport()))
    answers = ("Old", ISSUER, "", "https://a.example/auth", "https://a.example/token", "42", "", "", "", "")
    ran = call(engine, "new", "old", stdin="\n".join(answers) + "\n")
    assert ran.code == 0, ran.err
    assert "id.example cannot be reached." in ran.err
    assert written_file(engine, "old")["client"]["client_id"] == "42"
