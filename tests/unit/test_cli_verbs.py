"""Golden output of the verbs that look at accounts and change them, and how each fails."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any
from unittest.mock import Mock

import pytest

from keyfob.agent.remedies import REMEDIES
from keyfob.cli import agent_actions
from keyfob.cli import main as cli
from keyfob.cli.disconnect import how_it_ended
from keyfob.cli.session import utc_now
from keyfob.client import running_agent
from keyfob.core.errors import (
    Fault,
    KeychainError,
    KeyfobError,
    NotFound,
    PeerFault,
    SettingWrong,
    SignInEnded,
    SignInNeeded,
    Transient,
    Usage,
)
from keyfob.core.facts import filled
from keyfob.core.finding import Finding
from keyfob.core.http import Request, Response
from keyfob.core.secret import Secret
from keyfob.core.words import KEEPER_ROLE
from keyfob.engine import Engine
from keyfob.service.accounts.grant_store import lock_name
from keyfob.service.accounts.views import Disconnection, SignInRequest
from support.cli_run import opens, run
from support.fake_ports import NOW, FakeVault, ScriptedTransport
from support.running import Ran
from support.sample_engine import ProviderServer, sample_engine
from support.samples import D, M, sample_events, sample_views


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


SCOPES = (
    "repo read:org gist workflow read:packages user:email notifications admin:public_key "
    "read:discussion project"
)
ACCESS = (
    "Read and write your repositories, private ones too; Read packages; Change workflows of GitHub Actions; "
    "Read your teams and projects; Create and change gists; Read your notifications"
)


class Server(ProviderServer):
    """GitHub's server, which also revokes a token for an app without a secret. `ended`: it renews no more."""

    ended = False
    revoked = False

    def __call__(self, request: Request) -> Response:
        if request.purpose == "revoke" and request.url.endswith("/credentials/revoke"):
            self.sent.append(request.purpose)
            self.revoked = True
            return Response(202, {}, b"", NOW)
        if self.revoked and request.purpose == "whoami":
            return Response(401, {}, b"", NOW)
        if self.ended and self.key.encode() in (request.body or b""):
            return Response(400, {"content-type": "application/json"}, b'{"error": "invalid_grant"}', NOW)
        return super().__call__(request)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def engine(tmp_path: Path, server: Server) -> Engine:
    return sample_engine(tmp_path, transport=ScriptedTransport(server))


def call(engine: Engine, *argv: str, stdin: str = "") -> Ran:
    ran = run(argv, opens(engine), stdin=stdin, now=lambda: NOW)
    assert vault_of(engine).closed, "the engine is closed at the end of each command"
    vault_of(engine).closed = False
    return ran


def vault_of(engine: Engine) -> FakeVault:
    assert isinstance(engine.vault, FakeVault)
    return engine.vault


def kept_fresh(engine: Engine) -> AbstractContextManager[None]:
    """As if an agent was running."""
    return engine.locks.hold(KEEPER_ROLE, timeout=timedelta(0))


def golden(text: str) -> str:
    return dedent(text).lstrip("\n")


def some(folder: Path, *providers: str) -> Engine:
    """With the accounts at these providers alone."""
    return sample_engine(folder, [view for view in sample_views() if view.provider in providers])


def test_accounts_are_listed_one_a_line(tmp_path: Path) -> None:
    engine = some(tmp_path, "nexusmods", "bluesky", "github", "google", "openai", "spotify")
    with kept_fresh(engine):
        ran = call(engine, "accounts")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == golden("""
        ACCOUNT                    NAME               STATUS         TOKEN
        bluesky/aldis.bsky.social  aldis.bsky.social  connected      renews automatically in 59 min
        github/aldis-k             aldis-k            connected      renews automatically in 7 h
        google/work@example.org    work@example.org   needs sign-in  Google ended this sign-in
        nexusmods/aldis            Aldis              connected      renews automatically in 41 min
        openai/key-f3qa            key-f3qa           connected      no known expiry
        spotify/aldis              Aldis              disconnected   you signed out
        """)


def test_without_an_agent_nothing_is_said_to_renew_by_itself(tmp_path: Path) -> None:
    engine = some(tmp_path, "github", "mastodon")
    lines = call(engine, "accounts").out.splitlines()
    assert lines[1].endswith("connected         expires in 7 h; renewed when a tool asks")
    assert "automatically" not in call(engine, "status", "github").out


def test_stale_and_renewing_accounts_say_so(tmp_path: Path) -> None:
    engine = some(tmp_path, "mastodon", "keycloak")
    key = engine.accounts.resolve("keycloak").account.key
    with kept_fresh(engine), engine.locks.hold(lock_name(key), timeout=timedelta(0)):
        lines = call(engine, "accounts").out.splitlines()
    assert [cell.strip() for cell in lines[1].split("  ") if cell][-2:] == ["renewing", "renews now"]
    assert lines[2].split("  ")[-2:] == ["waiting to renew", "Mastodon is not available right now"]


def test_accounts_as_json_are_the_interfaces_document(engine: Engine) -> None:
    ran = call(engine, "accounts", "--json")
    assert json.loads(ran.out) == {"accounts": [view.to_json() for view in engine.accounts.views()]}


def test_without_accounts_the_next_step_is_shown(tmp_path: Path) -> None:
    engine = some(tmp_path)
    next_step = "There are no accounts yet. To connect one, run: keyfob connect PROVIDER\n"
    assert call(engine, "accounts").out == next_step
    assert call(engine, "status").out == next_step
    assert json.loads(call(engine, "accounts", "--json").out) == {"accounts": []}


def test_one_account_in_full(engine: Engine) -> None:
    with kept_fresh(engine):
        shown = call(engine, "status", "github/aldis-k").out
    assert shown == golden(f"""
        aldis-k  connected
          Account       github/aldis-k
          Provider      GitHub
          Method        device code
          Subject       248289761001
          Token         renews automatically in 7 h
          Expires       22:30
          Access        {ACCESS}
          Scopes        {SCOPES}
          Not granted   delete_repo
          Connected     12 March 15:00
          Last renewed  14:02
        """)


def test_an_account_that_needs_the_person_says_what_to_do(engine: Engine) -> None:
    assert call(engine, "status", "google/work@example.org").out == golden("""
        work@example.org  needs sign-in
          Account       google/work@example.org
          Provider      Google
          Method        browser
          Subject       248289761001
          Email         work@example.org
          Token         Google ended this sign-in
          Expires       Tuesday 15:00
          Scopes        openid profile email
          Connected     10 November 15:00
          Last renewed  14:02
          Last error    Google ended this sign-in (grant_ended, Tuesday 15:00)
          Details       Google's token endpoint answered 400: invalid_grant: Token has been expired or revoked.
          What to do    Run: keyfob reconnect google/work@example.org
        """)  # noqa: E501 - as it is printed


def test_status_without_an_account_sums_up(engine: Engine, tmp_path: Path) -> None:
    assert call(engine, "status").out == golden("""
        8 accounts, 5 connected
        google/work@example.org: needs sign-in. Run: keyfob reconnect google/work@example.org
        mastodon/aldis@social.example: waiting to renew. Wait a few minutes and try again.
        spotify/aldis: disconnected. Run: keyfob reconnect spotify/aldis
        """)
    one = some(tmp_path / "one", "nexusmods")
    (only,) = one.accounts.views()
    assert json.loads(call(one, "status", "--json").out) == only.to_json()


def test_the_token_stands_alone_on_stdout(engine: Engine) -> None:
    ran = call(engine, "token", "nexusmods/aldis")
    assert (ran.code, ran.out, ran.err) == (0, "canary-access-token\n", "")
    header = call(engine, "token", "nexusmods/aldis", "--header").out
    assert header == "Authorization: Bearer canary-access-token\n"
    document = json.loads(call(engine, "token", "nexusmods/aldis", "--json").out)
    assert document == {
        "account": "nexusmods/aldis",
        "token": "canary-access-token",
        "token_type": "Bearer",
        "expires_at": "2026-11-20T15:52:12Z",
        "scopes": ["openid", "profile", "email"],
    }


@pytest.mark.parametrize("option", ["--audience", "--resource"])
def test_a_token_for_another_api_needs_a_sign_in_of_its_own(engine: Engine, option: str) -> None:
    ran = run(["token", "github", option, "https://api.example.org"], opens(engine))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"keyfob: keyfob token has no {option}: an account has tokens for what it was signed in for. To use "
        "another API, add an account for it: run `keyfob providers add NAME --issuer URL --client-id ID "
        "--resource URI`, then `keyfob connect NAME`.\n"
    )
    assert option not in run(["token", "--help"], opens(engine)).out


def test_a_token_that_lives_too_short_or_was_refused_is_replaced(engine: Engine, server: Server) -> None:
    eight_hours = str(8 * 3600)
    assert call(engine, "token", "github").out == "canary-access-token\n"
    assert server.sent == []
    assert call(engine, "token", "github", "--min-life", eight_hours).out == "canary-access-token-2\n"
    assert server.sent == ["refresh"]
    old = "canary-access-token\n"
    assert call(engine, "token", "github", "--rejected-stdin", stdin=old).out == "canary-access-token-2\n"
    assert server.sent == ["refresh"], "the refused token was replaced already"
    ran = run(["token", "nexusmods/aldis", "--rejected-stdin"], opens(engine))
    assert (ran.code, ran.out) == (2, "")


def test_a_change_is_reported_in_one_line(engine: Engine) -> None:
    lines = {
        ("renew", "github"): "Renewed github/aldis-k: expires in 8 h; renewed when a tool asks",
        ("test", "github"): "github/aldis-k works: the provider says that you are Aldis (0 ms)",
        ("rename", "github", "play"): "Renamed github/aldis-k to github/play",
        ("disconnect", "github/play"): (
            "Disconnected github/play. The provider confirmed that it is revoked."
        ),
        ("disconnect", "spotify"): (
            "Disconnected spotify/aldis. The provider cannot revoke it. To end access there, open "
            "https://www.spotify.com/account/apps/."
        ),
        ("disconnect", "google", "--local"): (
            "Disconnected google/work@example.org. Keyfob did not ask the provider to revoke anything, "
            "because you used --local. To end access there, open https://myaccount.google.com/connections."
        ),
        ("remove", "github"): "Removed github/play. The provider confirmed that it is revoked.",
        ("remove", "mastodon"): (
            "Removed mastodon/aldis@social.example. The provider has not confirmed the revocation yet. "
            "Keyfob keeps trying."
        ),
    }
    for argv, line in lines.items():
        ran = call(engine, *argv)
        assert (ran.code, ran.out, ran.err) == (0, line + "\n", "")


def test_a_change_as_json(engine: Engine) -> None:
    def of(*argv: str) -> Any:
        return json.loads(call(engine, *argv, "--json").out)

    assert of("renew", "github/aldis-k")["id"] == "github/aldis-k"
    assert of("test", "github/aldis-k")["ok"] is True
    assert of("rename", "github/aldis-k", "k")["id"] == "github/k"
    ended = of("disconnect", "github/k")
    assert (ended["id"], ended["revoked"], ended["account"]["status"]) == ("github/k", "yes", "disconnected")
    assert of("remove", "github/k") == {
        "id": "github/k", "revoked": "yes", "reason": None, "sign_ins": 1, "left": 0, "page": None,
        "account": None,
    }  # fmt: skip


BY_HAND = "To end access there, use your account settings at Example."


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (Disconnection(None, "yes"), "The provider confirmed that it is revoked."),
        (
            Disconnection(None, "yes", sign_ins=3),
            "The provider confirmed that all 3 sign-ins of this account are revoked.",
        ),
        (
            Disconnection(None, "pending"),
            "The provider has not confirmed the revocation yet. Keyfob keeps trying.",
        ),
        (
            Disconnection(None, "pending", "refused", sign_ins=3, left=1),
            f"The provider did not revoke 1 of 3 sign-ins of this account. {BY_HAND} Keyfob keeps trying "
            "to revoke the rest.",
        ),
        (
            Disconnection(None, "unsupported", "not_offered", left=1),
            f"The provider cannot revoke it. {BY_HAND}",
        ),
        (
            Disconnection(None, "unsupported", "refused", sign_ins=3, left=2),
            f"The provider refused to revoke 2 of 3 sign-ins of this account. {BY_HAND}",
        ),
        (
            Disconnection(None, "unsupported", "unconfirmed", left=1, page="https://example.org/apps"),
            "The provider did not say whether it is revoked. To end access there, open https://example.org/apps.",
        ),
        (Disconnection(None, "unsupported", "nothing_left"), "There was no token to revoke."),
    ],
)
def test_s85_the_last_sentence_says_what_became_of_each_sign_in(ended: Disconnection, words: str) -> None:
    assert how_it_ended(ended, "Example") == words


def test_events(engine: Engine) -> None:
    (nexusmods,) = (view for view in sample_views() if view.provider == "nexusmods")
    for event in sample_events(nexusmods.key, nexusmods.id):
        engine.store.log(event)
    assert call(engine, "events", "--limit", "3").out == golden("""
        04:10  nexusmods/aldis  Renewed
        12:22  nexusmods/aldis  Renamed from al to aldis
        14:02  nexusmods/aldis  Renewed
        """)
    document = json.loads(call(engine, "events", "--json").out)
    assert [event["kind"] for event in document["events"]][-3:] == ["renewed", "renamed", "renewed"]
    assert document["events"][-1]["at"] == "2026-11-20T14:02:12Z"


@pytest.mark.parametrize("since", ["11h", "2026-11-20T12:00:00Z", "2026-11-20T12:00"])
def test_events_since_a_moment(engine: Engine, since: str) -> None:
    (nexusmods,) = (view for view in sample_views() if view.provider == "nexusmods")
    for event in sample_events(nexusmods.key, nexusmods.id):
        engine.store.log(event)
    now = "2026-11-20T23:00:00Z" if since == "11h" else None
    moment = partial(datetime.fromisoformat, now) if now else partial(utc_now)
    ran = run(["events", "--since", since], opens(engine), now=moment)
    assert [line.partition("  ")[2] for line in ran.out.splitlines()] == [
        "nexusmods/aldis  Renamed from al to aldis",
        "nexusmods/aldis  Renewed",
    ]
    assert call(engine, "events", "--since", "2026-11-21").out == "There are no events since then.\n"
    wrong = run(["events", "--since", "lately"], opens(engine))
    assert (wrong.code, wrong.out) == (2, "")
    assert "Write 2h, 7d or 2026-11-20T14:00. See `keyfob events --help`." in wrong.last


def test_a_new_label_is_made_as_at_a_sign_in(engine: Engine) -> None:
    """`keyfob connect --label "My Work"` connects `my-work`, and a rename gives the same name."""
    assert (
        call(engine, "rename", "nexusmods", "My Work").out == "Renamed nexusmods/aldis to nexusmods/my-work\n"
    )
    refused = call(engine, "rename", "nexusmods", "日本")
    assert (refused.code, refused.out) == (2, "")
    with pytest.raises(Usage) as caught:
        engine.sign_in.begin(SignInRequest("nexusmods", method="api_key", label="日本"))
    assert caught.value.code == "label_wrong"


KEYCHAIN = Finding("keychain", True, "GNOME Keyring: written, read and deleted in 26 ms")
PORT = Finding("callback_port", False, "9876 is held by node (pid 4)", "fail", "fixed_port_taken")
PROXY = Finding("proxy", True, "Requests go through another computer", "note", "proxy_unsupported")


def checked(folder: Path, *findings: Finding) -> Engine:
    """Whose doctor finds these, and a tray."""
    checks = [(each.name, partial(lambda found: found, each)) for each in findings]
    return sample_engine(folder, [], checks=checks)


def test_doctor_gives_each_failing_line_its_remedy(tmp_path: Path) -> None:
    engine = checked(tmp_path, KEYCHAIN, PORT, PROXY)
    ran = call(engine, "doctor")
    assert (ran.code, ran.err) == (1, "")
    assert ran.out == golden("""
        ok    keychain       GNOME Keyring: written, read and deleted in 26 ms
        fail  callback port  9876 is held by node (pid 4)
                             → Close the program that uses the port, then try again.
        ok    tray           This desktop has a tray
        note  proxy          Requests go through another computer
                             → Set HTTPS_PROXY to an http:// or https:// address, or name the host in NO_PROXY.
        note  network        Checked after you connect an account
        note  tools          You have not set up a tool with keyfob wire

        1 of 6 need attention.
        """)  # noqa: E501 - as it is printed
    ran = call(engine, "doctor", "--json")
    document = json.loads(ran.out)
    assert (ran.code, ran.err, document["ok"]) == (1, "", False)
    assert document["findings"][1]["remedy"].startswith("Close the program")


def test_doctor_ends_well_when_no_check_fails(tmp_path: Path) -> None:
    engine = checked(tmp_path, PROXY)
    for words in (("doctor",), ("doctor", "--json")):
        assert call(engine, *words).code == 0


EXITS: list[tuple[KeyfobError, int]] = [
    (Fault("A bug"), 1),
    (Usage("google has 2 accounts: google/a, google/b", code="account_ambiguous"), 2),
    (SignInNeeded("Google ended this sign-in", detail="Google answered 400: invalid_grant"), 3),
    (KeychainError("The keychain is locked", code="keychain_locked"), 4),
    (Transient("Google answered 503"), 5),
    (SignInEnded("You said no", code="declined"), 6),
    (NotFound("There is no account x"), 7),
    (SettingWrong("Port 9876 is taken", code="port_taken"), 8),
    (PeerFault("The state is another's", code="state_mismatch"), 9),
]


def test_without_a_screen_a_locked_keychain_has_a_remedy_that_needs_none(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    vault_of(engine).error = KeychainError("The keychain is locked", code="keychain_locked")
    assert "keyfob settings set vault sealed" in call(engine, "token", "nexusmods/aldis").err


@pytest.mark.parametrize(("error", "code"), EXITS, ids=lambda value: getattr(value, "code", value))
def test_a_failure_has_its_exit_one_line_and_an_empty_stdout(
    engine: Engine, error: KeyfobError, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")  # without one the keychain has another remedy
    for verb in ("token", "renew", "test", "disconnect"):
        monkeypatch.setattr(engine.accounts, verb, Mock(side_effect=error))
        ran = call(engine, verb, "nexusmods/aldis")
        assert (ran.code, ran.out) == (code, "")
        remedy = filled(REMEDIES[error.code], {})
        assert ran.err == f"keyfob: {error.message}. {remedy}\n"
        ran = call(engine, verb, "nexusmods/aldis", "--json")
        assert (ran.code, ran.out) == (code, "")
        document = json.loads(ran.err)
        assert (document["code"], document["message"], document["advice"], document["detail"]) == (
            error.code,
            error.message,
            str(error.advice),
            error.detail,
        )


def test_failures_of_the_outside_world_reach_the_terminal(engine: Engine, server: Server) -> None:
    server.ended = True
    for argv, code, line in (
        (
            ("renew", "github"),
            3,
            "GitHub ended this sign-in. Sign in again with `keyfob reconnect github/aldis-k`.",
        ),
        (("token", "nobody"), 7, "There is no account nobody. To list your accounts, run `keyfob accounts`."),
        (("token", "spotify"), 3, "spotify/aldis is disconnected. Run `keyfob reconnect spotify/aldis`."),
        (
            ("renew", "nexusmods"),
            5,
            "users.nexusmods.com cannot be reached. Check your internet connection and try again.",
        ),
        (
            ("renew", "openai"),
            2,
            "openai/key-f3qa cannot be renewed. Sign in again when the token expires. Until then, you can "
            "use it.",
        ),
    ):
        ran = call(engine, *argv)
        assert (ran.code, ran.out, ran.err) == (code, "", f"keyfob: {line}\n")


def test_a_bug_of_ours_tells_its_kind_and_nothing_it_held(
    engine: Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.store, "records", Mock(side_effect=ValueError("canary")))
    ran = call(engine, "token", "nexusmods/aldis")
    assert (ran.code, ran.out) == (1, "")
    assert ran.last.startswith("keyfob: Keyfob failed: ValueError. ")
    assert "canary" not in ran.err
    caplog.clear()


def test_a_hint_of_the_parser_is_part_of_what_to_do() -> None:
    ran = run(["token", "a", "--min-lif", "3"], opens(None))
    assert ran.err.startswith("keyfob: No such option '--min-lif'. ")
    assert "'--min-life'? See `keyfob token --help`." in ran.err.replace("?)", "?")


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["bogus"], "keyfob: No such command 'bogus'. See `keyfob --help`."),
        (["conect"], "keyfob: No such command 'conect'. Did you mean `keyfob connect`? See `keyfob --help`."),
        (["token"], "keyfob: Missing argument 'ACCOUNT'. See `keyfob token --help`."),
        (
            ["token", "a", "--zzz"],
            "keyfob: No such option '--zzz'. See `keyfob token --help`.",
        ),
        (
            ["token", "a", "--min-life", "x"],
            (
                "keyfob: Invalid value for '--min-life': 'x' is not a valid number of seconds. See `keyfob "
                "token --help`."
            ),
        ),
        (["providers", "bogus"], "keyfob: No such command 'bogus'. See `keyfob providers --help`."),
    ],
)
def test_usage_mistakes_exit_2_in_the_same_form(argv: list[str], line: str) -> None:
    ran = run(argv, opens(None))
    assert (ran.code, ran.out, ran.err) == (2, "", line + "\n")
    ran = run([*argv, "--json"], opens(None))
    assert (ran.code, ran.out, json.loads(ran.err)["code"]) == (2, "", "usage")


def test_every_verb_has_help_with_an_example_and_the_overviews_line() -> None:
    for name, verb in cli.VERBS.items():
        ran = run([name, "--help"], opens(None))
        assert (ran.code, ran.err) == (0, "")
        assert f"keyfob {name}" in ran.out.split("\n", 1)[1], f"{name} --help has an example"
        command = cli.keyfob.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert command.get_short_help_str(limit=200) == verb.line
    subs = {
        "providers": ("list", "show", "check", "add", "new", "try", "report"),
        "settings": ("list", "get", "set"),
    }
    for name, sub in ((name, sub) for name, each in subs.items() for sub in each):
        ran = run([name, sub, "--help"], opens(None))
        assert f"keyfob {name} {sub}" in ran.out.split("\n", 1)[1]


def test_without_a_verb_the_window_opens() -> None:
    opened: list[list[str]] = []
    what = opens(None, window=lambda argv: opened.append(list(argv)) or 3)
    assert run([], what).code == 3
    assert run(["demo"], what).code == 3
    assert opened == [[], ["--demo"]]


def test_the_version() -> None:
    from keyfob import __version__

    assert run(["--version"], opens(None)).out == f"keyfob {__version__}\n"


def test_no_colour_is_written_where_nobody_can_see_it_or_wants_it(engine: Engine) -> None:
    assert "\x1b" not in call(engine, "accounts").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(shell: str) -> None:
    ran = run(["completion", shell], opens(None))
    assert ran.code == 0
    assert "_KEYFOB_COMPLETE" in ran.out


def test_completion_knows_verbs_accounts_and_options(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def complete(line: str) -> set[str]:
        words = line.split(" ")
        monkeypatch.setenv("_KEYFOB_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        ran = run([], opens(engine))
        return {entry.partition(",")[2] for entry in ran.out.splitlines()}

    assert complete("keyfob re") == {verb for verb in cli.VERBS if verb.startswith("re")}
    assert complete("keyfob zz") <= {""}
    assert complete("keyfob token g") == {"github/aldis-k", "google/work@example.org"}
    assert "--min-life" in complete("keyfob token --m")
    assert "github/aldis-k" in complete("keyfob events --account git")
    assert "repo" in complete("keyfob connect github --access ")
    assert "repo" in complete("keyfob reconnect github/aldis-k --access r")
    assert complete("keyfob connect github --scope read:u") == {"read:user"}
    assert complete("keyfob connect nobody --scope ") <= {""}
    assert complete("keyfob import net") == {"netrc"}
    (tmp_path / "deploy").touch(mode=0o755)
    (tmp_path / "dep.txt").touch(mode=0o644)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert complete("keyfob exec github -- dep") == {"deploy"}
    assert complete("keyfob exec git") == {"github/aldis-k"}
    assert os.environ["COMP_WORDS"]


def test_a_moment_close_to_now_has_its_seconds() -> None:
    from keyfob.cli import words

    assert words.moment(None, NOW) == "never"
    assert words.moment(NOW - 2 * M, NOW) == "14:58:12"
    assert words.moment(NOW - 6 * M, NOW) == "14:54"
    assert words.moment(NOW - D, NOW) == "yesterday 15:00"
    assert words.moment(NOW - 400 * D, NOW) == "16 October 2025"


def test_a_moment_to_wait_for_is_told_in_local_time(capsys: pytest.CaptureFixture[str]) -> None:
    from keyfob.cli import failure

    asked = Transient("Example asked to wait", code="asked_to_wait", until=NOW + timedelta(seconds=5))
    clock = f"{(NOW + timedelta(seconds=5)).astimezone():%H:%M:%S}"
    assert failure.report(asked, as_json=False) == 5
    assert capsys.readouterr().err == (
        f"keyfob: Example asked to wait until {clock}. Keyfob then tries again automatically.\n"
    )
    failure.report(asked, as_json=True)
    assert json.loads(capsys.readouterr().err)["message"] == f"Example asked to wait until {clock}"


def test_an_install_that_the_running_app_prevents_removes_no_older_one(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.agent_service.install(Path("/run/agent.sock"))
    monkeypatch.setattr("keyfob.client.running_agent.standing", lambda: {"window": True})
    ran = run(["agent", "--install"], opens(engine))
    assert (ran.code, ran.out) == (2, "")
    assert "Quit Keyfob in its window." in ran.err
    assert engine.agent_service.installed()


def test_s25_no_passphrase_is_asked_for_by_the_agent_of_another_home(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing = {"vault": "sealed", "vault_open": False, "home": "0" * 32, "locked": True}
    monkeypatch.setattr(running_agent, "standing", lambda: standing)
    told: list[str | None] = []
    monkeypatch.setattr(
        running_agent, "tell_agent", lambda _what, passphrase=None: told.append(passphrase) or standing
    )
    monkeypatch.setattr(agent_actions, "ask_passphrase", lambda: Secret("the-passphrase"))
    ran = run(["agent", "--unlock"], opens(engine))
    assert (ran.code, ran.out, told) == (2, "", [])
    assert "The agent that answers is of another home." in ran.err
    standing["home"] = engine.home.id
    assert run(["agent", "--unlock"], opens(engine)).code == 0
    assert told == ["the-passphrase"]
