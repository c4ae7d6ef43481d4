"""Attackers and bad luck against the whole engine and the real command:
what a person's machine may look like.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from keyfob.adapters.vault.memory import MemoryVault
from keyfob.core.errors import Fault, KeyfobError
from keyfob.core.secret import Secret
from support.misbehaving import Misbehaving
from support.whole_engine import Page, Whole, browse, get, spawn

pytestmark = pytest.mark.network


def keyfob(home: Path, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The command with a bare environment."""
    told = {
        "PATH": os.environ["PATH"],
        "KEYFOB_HOME": str(home),
        "PYTHONPATH": os.pathsep.join(sys.path),
        **env,
    }
    return subprocess.run(
        [sys.executable, "-m", "keyfob", *argv],
        env={name: value for name, value in told.items() if value},
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )


# --- reconnecting -------------------------------------------------------------------------------------------


def test_the_wrong_person_with_a_new_client_harms_nothing(whole: Whole) -> None:
    """The account's own client secret stays, and what came is revoked under the client it was given to."""
    view = whole.connect(client_secret=Secret("first-secret"))
    whole.provider.person["sub"] = "somebody-else"
    assert (
        whole.fails(account="here", client_id="app", client_secret=Secret("second-secret")).code
        == "subject_mismatch"
    )
    assert "first-secret" in whole.entries()[f"{view.key}/client"].reveal()
    assert len(whole.provider.revoked) == 1
    revocation = next(each for each in whole.provider.requests if each.target == "/revoke")
    import base64

    pair = base64.b64decode(revocation.headers["authorization"].removeprefix("Basic ")).decode()
    assert pair == "app:second-secret"
    whole.provider.person["sub"] = "subject-1"
    assert whole.renew() is None
    assert whole.engine.accounts.view("here").status == "connected"


def test_a_reconnect_that_cannot_be_written_leaves_the_account_as_it_was(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole.connect()
    before = whole.grant()

    def full(*_: object, **__: object) -> None:
        raise Fault("disk full", code="store_unwritable")

    with monkeypatch.context() as patch:
        patch.setattr(whole.engine.store, "update", full)
        assert whole.fails(account="here").code == "store_unwritable"
    assert whole.grant() == before
    assert before.refresh is not None
    assert before.refresh.reveal() not in whole.provider.revoked
    assert whole.renew() is None


@pytest.mark.logs
def test_a_disk_that_is_full_after_the_account_was_written_does_not_undo_it(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account is kept: a missing line of history is no reason to revoke its tokens."""

    def full(*_: object, **__: object) -> None:
        raise Fault("disk full", code="store_unwritable")

    real = whole.engine.store.write
    with monkeypatch.context() as patch:
        patch.setattr(whole.engine.store, "log", full)
        patch.setattr(whole.engine.store, "clear_intent", full)
        patch.setattr(whole.engine.store, "write", lambda name, value: real(name, value) if value else full())
        assert whole.connect().status == "connected"
    assert whole.provider.revoked == []
    assert whole.token() in whole.provider.access
    assert whole.renew() is None


def test_two_windows_that_sign_in_the_same_person_make_one_account(
    tmp_path: Path, provider: Misbehaving
) -> None:
    whole = Whole(tmp_path, provider)
    other = Whole(tmp_path, provider, vault=whole.vault)
    together = threading.Barrier(2)
    provider.before["/userinfo"] = lambda: (together.wait(20), None)[1]
    threads = [threading.Thread(target=each.connect) for each in (whole, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [view.id for view in whole.engine.accounts.views()] == ["here/alice"]
    assert whole.token() in provider.access
    other.engine.close()
    whole.engine.close()


def test_two_issuers_of_one_preset_do_not_share_a_subject(tmp_path: Path, provider: Misbehaving) -> None:
    """The same `sub` at another server is another person: a second account, and no reconnect across."""
    whole = Whole(tmp_path, provider)
    whole.connect()
    with Misbehaving() as other:
        whole.write_preset(issuer=other.issuer)
        engine = whole.engine = whole.another()
        assert whole.connect().id == "here/alice-2"
        assert [view.issuer for view in engine.accounts.views()] == [provider.issuer, other.issuer]
        sent = len(other.requests)
        error = whole.renew("here/alice")
        assert error is not None
        assert error.code == "preset_changed"
        assert len(other.requests) == sent
        assert provider.renewals() == []
    whole.engine.close()


def test_a_cancelled_sign_in_gives_back_what_it_received(whole: Whole) -> None:
    attempt = whole.attempt()
    whole.provider.before["/userinfo"] = lambda: (attempt.cancel(), None)[1]
    with pytest.raises(KeyfobError):
        whole.engine.sign_in.run(attempt, spawn)
    assert whole.engine.accounts.views() == []
    assert len(whole.provider.revoked) == 1
    assert whole.provider.live == {}


# --- races --------------------------------------------------------------------------------------------------


def test_disconnect_reconnect_renew_and_remove_at_once_end_in_one_truth(
    tmp_path: Path, provider: Misbehaving
) -> None:
    """Two engines on one home, each doing what the other undoes. Whatever wins: no exception but a told one,
    and the row and the vault agree.
    """
    whole = Whole(tmp_path, provider)
    whole.connect()
    other = whole.another()
    stop = time.monotonic() + 4
    faults: list[BaseException] = []

    def keep_doing(*works: object) -> None:
        while time.monotonic() < stop:
            for work in works:
                assert callable(work)
                try:
                    work()
                except KeyfobError as error:
                    if error.code == "internal":
                        faults.append(error)
                except Exception as error:
                    faults.append(error)

    threads = [
        threading.Thread(target=keep_doing, args=(lambda: whole.connect(account="here"),)),
        threading.Thread(target=keep_doing, args=(lambda: other.accounts.renew("here"),)),
        threading.Thread(target=keep_doing, args=(lambda: other.accounts.token("here"),)),
        threading.Thread(
            target=keep_doing, args=(lambda: other.accounts.disconnect("here"), lambda: time.sleep(0.2))
        ),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert faults == []
    row = whole.engine.store.records()[0]
    key = row.account.key
    grants = [name for name in whole.entries() if name.startswith(key) and name.endswith(("/a", "/b"))]
    if whole.engine.accounts.view("here").status == "disconnected":
        assert grants == []
    else:
        assert whole.renew() is None
        assert whole.token() in provider.access
    other.close()
    whole.engine.close()


# --- the callback listener under fire -----------------------------------------------------------------------


def test_a_flood_of_connections_does_not_keep_the_real_callback_out(whole: Whole) -> None:
    held: list[socket.socket] = []

    def visit(url: str) -> list[Page]:
        first = get(url)
        here = urlsplit(first.headers["location"])
        for number in range(200):
            try:
                sock = socket.create_connection(("127.0.0.1", here.port or 0), timeout=1)
            except OSError:
                continue
            if number % 2:
                sock.sendall(b"GET /callback?code=x&state=y HTTP/1.1\r\n")
            held.append(sock)
        started = time.monotonic()
        pages = browse(first.headers["location"])
        assert time.monotonic() - started < 5
        return pages

    whole.visit = visit
    assert whole.connect(timeout=20.0).status == "connected"
    for sock in held:
        sock.close()


# --- homes --------------------------------------------------------------------------------------------------


def test_umask_0_leaves_folders_0700_and_files_0600(tmp_path: Path, provider: Misbehaving) -> None:
    before = os.umask(0)
    try:
        whole = Whole(tmp_path, provider)
        whole.connect()
        whole.renew()
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in whole.home.root.rglob("*")}
    finally:
        os.umask(before)
    wide = {
        path.name: oct(mode)
        for path, mode in modes.items()
        if mode & 0o077 and path.parent.name != "providers" and path.name != "providers"
    }
    assert wide == {}
    whole.engine.close()


def test_a_home_that_is_a_link_to_somebody_elses_folder_is_no_home(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        target = Path("/")
    else:
        target = tmp_path / "theirs"
        target.mkdir()
        os.chown(target, 65534, 65534)
    (tmp_path / "home").symlink_to(target)
    ran = keyfob(tmp_path / "home", "accounts")
    assert ran.returncode == 8, ran.stderr
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr


def test_files_of_the_home_that_are_links_are_not_followed_to_write(tmp_path: Path) -> None:
    """A link planted as settings or log must not make Keyfob write over
    the person's own files with what it holds.
    """
    home = tmp_path / "home"
    assert keyfob(home, "accounts").returncode == 0
    victim = tmp_path / "victim"
    victim.write_text("{}")
    settings = home / "config" / "settings.json"
    settings.unlink(missing_ok=True)
    settings.symlink_to(victim)
    from keyfob.adapters.store.settings_file import SettingsFile
    from keyfob.core.settings import Settings

    SettingsFile(settings).save(Settings())
    assert victim.read_text() == "{}"


@pytest.mark.parametrize(
    "env",
    [
        {"LANG": "C", "LC_ALL": "C"},
        {"LANG": "tr_TR.UTF-8", "TZ": "Pacific/Apia"},
        {"TZ": "Nowhere/Nothing", "PYTHONUTF8": "0", "LC_ALL": "POSIX"},
        {"HOME": ""},
    ],
    ids=["C", "Turkish on the date line", "no zone", "no HOME"],
)
def test_any_environment_gives_the_same_answer(tmp_path: Path, env: dict[str, str]) -> None:
    ran = keyfob(tmp_path / "home", "accounts", "--json", **env)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {"accounts": []}


def test_without_home_and_keyfob_home_it_says_so_or_works(tmp_path: Path) -> None:
    ran = keyfob(tmp_path / "home", "accounts", "--json", KEYFOB_HOME="", HOME="",
        XDG_DATA_HOME=str(tmp_path / "x"),
                 XDG_CONFIG_HOME=str(tmp_path / "x"), XDG_STATE_HOME=str(tmp_path / "x"),
                 XDG_RUNTIME_DIR=str(tmp_path / "x"), XDG_CACHE_HOME=str(tmp_path / "x"))  # fmt: skip
    assert ran.returncode in (0, 8), ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_read_only_home_is_told_and_not_a_bug(tmp_path: Path) -> None:
    """Files where folders should be: unwritable for root too."""
    home = tmp_path / "home"
    home.write_text("a file")
    ran = keyfob(home, "accounts")
    assert ran.returncode == 8
    assert "Traceback" not in ran.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_at_stdout_is_told(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "keyfob", "accounts", "--json"],
            env={
                **os.environ,
                "KEYFOB_HOME": str(tmp_path / "home"),
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert ran.returncode != 0
    assert "Traceback" not in ran.stderr


# --- keychains that are none --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "backend",
    ["keyring.backends.null.Keyring", "keyring.backends.fail.Keyring", "keyrings.alt.file.PlaintextKeyring"],
)
def test_s_67_no_sign_in_begins_where_its_tokens_would_have_no_safe_place(
    tmp_path: Path, provider: Misbehaving, backend: str
) -> None:
    """S-67: exit 4 with what to do, before a browser opens or anything
    is sent; and no file holds anything.
    """
    whole = Whole(tmp_path, provider)
    file = whole.home.config / "providers" / "here.toml"
    file.write_text(
        file.read_text()
        .replace('client_id = "user"', 'client_id = "keyfob"')
        .replace("[client]", '[client]\nclient_id = "app"')
    )
    ran = keyfob(
        whole.home.root, "connect", "here", "--no-browser", "--timeout", "5", PYTHON_KEYRING_BACKEND=backend
    )
    assert ran.returncode == 4, ran.stderr
    assert ran.stdout == ""
    assert "http" not in ran.stderr.partition("keyfob:")[0]
    assert provider.requests == []
    whole.engine.close()


# --- rows edited by hand ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE accounts SET record = 'not json'",
        "UPDATE accounts SET record = json_set(record, '$.status', 'sleeping')",
        "UPDATE accounts SET record = json_set(record, '$.expires_at', 'tomorrow')",
        "UPDATE accounts SET record = json_set(record, '$.account', 7)",
        "UPDATE accounts SET record = '[]'",
    ],
)
def test_s83_a_row_edited_by_hand_is_damage_and_nothing_is_deleted(whole: Whole, edit: str) -> None:
    import sqlite3

    whole.connect()
    entries = whole.entries()
    with sqlite3.connect(whole.engine.store_path) as connection:
        connection.execute(edit)
    connection.close()
    with pytest.raises(Fault) as caught:
        whole.token()
    assert caught.value.code in ("store_damaged", "store_too_new")
    assert whole.engine.accounts.views() == []
    assert [each.code for each in whole.engine.accounts.unread()] == [caught.value.code]
    whole.engine.renewer.tick()
    assert whole.entries() == entries


def test_a_pin_edited_to_plain_http_gets_no_token(whole: Whole) -> None:
    """A row is no licence to send tokens in the clear."""
    import sqlite3

    whole.connect()
    with sqlite3.connect(whole.engine.store_path) as connection:
        text = connection.execute("SELECT record FROM accounts").fetchone()[0]
        changed = text.replace(f"{whole.provider.issuer}/token", "http://elsewhere.example/token")
        assert changed != text
        connection.execute("UPDATE accounts SET record = ?", (changed,))
    connection.close()
    sent = len(whole.provider.requests)
    error = whole.renew()
    assert error is not None
    assert error.code in ("endpoint_unsafe", "preset_changed")
    assert len(whole.provider.requests) == sent


# --- presets of the person's own ----------------------------------------------------------------------------


def test_a_preset_cannot_paint_the_terminal(tmp_path: Path) -> None:
    home = tmp_path / "home"
    folder = home / "config" / "providers"
    folder.mkdir(parents=True)
    shipped = Path(__file__).parents[2] / "resources" / "demo" / "demo.toml"
    text = shipped.read_text().replace(
        'title = "Demo Provider"', 'title = "De\\u001b[2J\\u001b]0;mo\\u0007\\u202egoogle"'
    )
    (folder / "demo.toml").write_text(text)
    (folder / "x.toml").write_text('"a\\u001b[31m" = 1\nid = "x\\u001b[2J"\n')
    for argv in (("providers", "list"), ("providers", "show", "demo"),
        ("providers", "check", str(folder / "x.toml")),
                 ("accounts",), ("connect", "x"), ("connect", "\x1b[2Jnope"),
                 ("token", "\x1b[2J/\u202enope")):  # fmt: skip
        ran = keyfob(home, *argv)
        told = ran.stdout + ran.stderr
        assert "\x1b" not in told, (argv, told)
        assert "\x07" not in told
        assert "\u202e" not in told
        assert "Traceback" not in told


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (("token", "demo", "--min-life", "nan"), 2),
        (("token", "demo", "--min-life", "1e400"), 2),
        (("connect", "demo", "--timeout", "nan"), 2),
        (("connect", "demo", "--timeout", "-0"), 2),
        (("providers", "check", "/dev/zero"), 8),
        (("providers", "show", "../../../etc/passwd"), 7),
        (("rename", "demo", "../../x"), 7),
        (("token", ""), 2),
        (("events", "--limit", "99999999999999999999"), 2),
    ],
)
def test_arguments_that_are_none(tmp_path: Path, argv: tuple[str, ...], code: int) -> None:
    ran = keyfob(tmp_path / "home", *argv)
    assert ran.returncode == code, ran.stderr
    assert ran.stdout == ""
    assert "report" not in ran.stderr  # no bug of ours


def test_names_from_the_provider_are_plain_wherever_they_appear(whole: Whole) -> None:
    """S-65: CR, LF, ESC and bidi in a name; a path in a user name."""
    whole.provider.become("S-65")
    view = whole.connect()
    assert view.name is not None
    assert view.name.isprintable()
    assert "\n" not in view.name
    assert view.label.strip("abcdefghijklmnopqrstuvwxyz0123456789._@-") == ""
    for event in whole.engine.accounts.history():
        assert event.message.isprintable()
    assert all(line.isprintable() for line in whole.pages[-1].text.splitlines())


@pytest.mark.parametrize(
    "table",
    [
        '[api]\nbase = "https://api.example.org"\n[api.headers]\nX-A = "a\\r\\nX-B: c"',
        '[api]\nbase = "https://api.example.org"\n[api.headers]\n"X-A\\r\\nX-B" = "a"',
        '[token_headers]\nX-A = "a\\r\\nX-B: c"',
        '[authorize_params]\nstate = "fixed"',
        '[authorize_params]\nredirect_uri = "https://evil.example/"',
        '[token_params]\ngrant_type = "password"',
        '[token_headers]\nHost = "evil.example"',
    ],
)
def test_a_preset_cannot_inject_headers_or_replace_what_the_protocol_sets(whole: Whole, table: str) -> None:
    """Either the preset is faulty and says so, or what the protocol sets wins."""
    whole.write_preset(tables=table)
    whole.engine = whole.another()
    try:
        whole.connect()
    except KeyfobError as error:
        assert error.code in ("preset_faulty", "provider_not_found")  # noqa: PT017
        return
    assert whole.authorization["state"] != "fixed"
    assert whole.authorization["redirect_uri"].startswith("http://127.0.0.1:")
    assert whole.provider.forms("/token")[0]["grant_type"] == "authorization_code"
    for request in whole.provider.requests:
        assert "x-b" not in request.headers
        assert request.headers["host"] == urlsplit(whole.provider.issuer).netloc


def test_a_copied_home_and_its_original_do_not_tear_each_other(tmp_path: Path, provider: Misbehaving) -> None:
    """Two homes that share one keychain never touch each other's
    secrets; a new home gets an id of its own.
    """
    from keyfob.process.home import open_home

    first = open_home({"KEYFOB_HOME": str(tmp_path / "one")})
    second = open_home({"KEYFOB_HOME": str(tmp_path / "two")})
    assert first.id != second.id


def test_an_attempt_that_was_killed_leaves_nothing_after_the_next_start(
    tmp_path: Path, provider: Misbehaving
) -> None:
    """S-57 after a crash: a key that was saved for a sign-in which never ended is swept at the next start."""
    whole = Whole(tmp_path, provider, top='dpop = "always"')
    vault = whole.vault
    assert isinstance(vault, MemoryVault)
    frozen = threading.Event()
    whole.visit = lambda url: (frozen.set(), [])[1]  # type: ignore[func-returns-value]
    attempt = whole.attempt(timeout=30.0)

    def run() -> None:
        with contextlib.suppress(KeyfobError):
            whole.engine.sign_in.run(attempt, spawn)

    spawn(run, "attempt")
    assert frozen.wait(10)
    crashed = dict(vault.entries)
    assert [name for name in crashed if name.endswith("/dpop")]
    left = {name: whole.engine.store.read(name) for name in whole.engine.store.names("attempt/")}
    attempt.cancel()
    time.sleep(0.5)
    vault.entries.update(crashed)
    for name, value in left.items():
        whole.engine.store.write(name, value)
    assert whole.another().sign_in.interrupted() == ["here"]
    assert not [name for name in vault.entries if name.endswith("/dpop")]
    whole.engine.close()
    shutil.rmtree(tmp_path, ignore_errors=True)
