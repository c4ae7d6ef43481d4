"""The publisher's client ids: what may stand in the file, and what becomes of a preset that has one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keyfob.core.errors import SettingWrong
from keyfob.core.provider import Provider
from keyfob.engine import Engine, build
from keyfob.providers.catalogue import Catalogue, standard
from keyfob.providers.published_clients import can_be_published, published, read_clients, why_not
from keyfob.service.accounts.views import SignInRequest
from support.cli_run import opens, run
from support.fake_ports import fake_ports
from support.running import Ran

ROOT = Path(__file__).resolve().parents[2]
PRESETS = ROOT / "resources" / "providers"
MICROSOFT = "8a1c0e5e-1111-2222-3333-444455556666"
FILE = f"""
[microsoft]
client_id = "{MICROSOFT}"

[github]
client_id = "Ov23device"

[spotify.oauth]
client_id = "spotify-id"
redirect = "ignored"
"""


@pytest.fixture(scope="module")
def presets() -> dict[str, Provider]:
    return {provider.id: provider for provider in Catalogue(PRESETS).all()}


def catalogue(folder: Path, text: str, user: Path | None = None) -> Catalogue:
    file = folder / "clients.toml"
    file.write_text(text, "utf-8")
    return Catalogue(PRESETS, user, clients=file)


def engine_with(folder: Path, text: str) -> Engine:
    return build(
        fake_ports(folder, presets=catalogue(folder, text, folder / "home" / "config" / "providers"))
    )


def client_of(engine: Engine, provider: str, method: str, **more: str) -> str | None:
    preset = engine.providers.get(provider)
    request = SignInRequest(provider, method, **more)  # type: ignore[arg-type]
    choice = engine.clients.for_attempt(preset, preset.default_server(), request, {}, None, None, ())
    assert choice.client.secret is None
    return choice.client.client_id


def test_the_file_that_comes_with_the_source_is_empty_and_right(presets: dict[str, Provider]) -> None:
    assert read_clients((ROOT / "resources" / "clients.toml").read_bytes(), presets) == ({}, ())
    assert not any(provider.publisher for provider in standard(ROOT / "nowhere").all())


def test_what_the_comments_show_is_right(presets: dict[str, Provider]) -> None:
    lines = (ROOT / "resources" / "clients.toml").read_text("utf-8").splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith("# [microsoft]"))
    end = next(n for n, line in enumerate(lines) if line.startswith("# There is no client_secret"))
    shown = "\n".join(line[2:] for line in lines[begin:end]).replace("…", "0000")
    shown = shown.replace('"8a1c0e5e-0000"', f'"{MICROSOFT}"').replace('["openid", "email"]', "[]")
    text = shown.replace("scopes = []", "")
    found, faults = read_clients("\n".join(l for l in text.splitlines() if l.strip()).encode(), presets)  # noqa: E741
    assert [fault.sentence() for fault in faults if "is not TOML" not in fault.sentence()] == []
    assert sorted(found) == ["microsoft", "spotify"]


def test_a_preset_with_an_id_needs_no_app_of_its_users(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, FILE.replace('redirect = "ignored"\n', ""))
    microsoft, github = engine.providers.get("microsoft"), engine.providers.get("github")
    assert not any(map(microsoft.needs_own_app, microsoft.methods))
    assert microsoft.policy.client_id == "keyfob"
    assert (github.needs_own_app("device"), github.needs_own_app("oauth")) == (False, True)
    assert github.policy.client_id == "user"
    assert github.methods[0] == "device"
    assert engine.providers.get("spotify").policy.note is None
    assert client_of(engine, "microsoft", "oauth") == client_of(engine, "microsoft", "device") == MICROSOFT
    assert client_of(engine, "github", "device") == "Ov23device"
    assert client_of(engine, "spotify", "oauth") == "spotify-id"
    with pytest.raises(SettingWrong) as caught:
        client_of(engine, "github", "oauth")
    assert caught.value.code == "client_missing"


def test_s111_a_persons_own_client_id_wins(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, FILE)
    assert client_of(engine, "microsoft", "oauth", client_id="my-own") == "my-own"
    assert client_of(engine, "microsoft", "oauth") == "my-own"
    engine.clients.forget(engine.providers.get("microsoft"), {})
    assert client_of(engine, "microsoft", "oauth") == MICROSOFT


def test_a_persons_own_preset_gets_no_id_of_the_publisher(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, FILE)
    own = tmp_path / "home" / "config" / "providers"
    own.mkdir(parents=True, exist_ok=True)
    (own / "microsoft.toml").write_bytes((PRESETS / "microsoft.toml").read_bytes())
    assert engine.providers.get("microsoft").needs_own_app("oauth")


def test_the_commands_say_so(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, FILE)

    def call(*words: str) -> Ran:
        return run(words, opens(engine))

    listed = call("providers", "list")
    line = next(line for line in listed.out.splitlines() if line.startswith("microsoft "))
    assert "needs your own app" not in line
    shown = call("providers", "show", "microsoft").out
    assert "comes with this build of Keyfob (browser, device code)" in shown
    document = call("providers", "show", "microsoft", "--json").json
    assert (document["needs_registration"], document["client_id_policy"]) == (False, "keyfob")
    assert document["published_for"] == ["oauth", "device"]


def test_the_redirect_is_the_one_that_is_registered(tmp_path: Path, presets: dict[str, Provider]) -> None:
    def redirect(line: str) -> tuple[str, str, tuple[int, ...], str, bool]:
        text = f'[dropbox]\n{line}\n[dropbox.oauth]\nclient_id = "k"\n'
        found, faults = read_clients(text.encode(), presets)
        assert faults == ()
        made = published(presets["dropbox"], found["dropbox"]).redirect
        return made.host, made.port, made.ports, made.path, made.registered_port

    path = presets["dropbox"].redirect.path
    assert redirect("") == (presets["dropbox"].redirect.host, "fixed", (9876,), path, True)
    assert redirect('redirect = "http://localhost/back"') == ("localhost", "any", (), "/back", False)
    assert redirect('redirect = "http://[::1]:5000/x"') == ("::1", "fixed", (5000,), "/x", True)


def test_access_that_the_registration_lacks_is_not_offered(presets: dict[str, Provider]) -> None:
    dropbox = presets["dropbox"]
    some = next(each for each in dropbox.access)
    scopes = sorted({*dropbox.scopes, *some.scopes})
    text = f'[dropbox]\nscopes = {scopes}\n[dropbox.oauth]\nclient_id = "k"\n'.replace("'", '"')
    found, faults = read_clients(text.encode(), presets)
    assert faults == ()
    offered = published(dropbox, found["dropbox"]).access
    assert some in offered
    assert all(set(each.scopes) <= set(scopes) for each in offered)
    assert len(offered) < len(dropbox.access)


FAULTS = [
    ("x = \n", "is not TOML (Invalid value (at line 1, column 5)); correct it"),
    ('\n[githob]\nclient_id = "x"', "line 2: githob is not a preset of Keyfob; did you mean github?"),
    ("github = 1", "line 1: github is not a table"),
    ("[github]", "line 1: github has no client_id"),
    ('[github]\nclient_id = ""', "line 2: github.client_id is empty"),
    ("[github]\nclient_id = 5", "line 2: github.client_id is not a text"),
    ('[github]\nclient_id = "a b"', "line 2: github.client_id has characters that no client id has"),
    ('[github]\nclient_id = "x"\nclient_secret = "s"', "line 3: github.client_secret is a secret"),
    ('[github.device]\nclient_id = "x"\nsecret = "s"', "line 3: github.device.secret is a secret"),
    ('[github]\nclient_id = "x"\nredirekt = "s"', "line 3: github.redirekt is not known; it should"),
    ('[google]\nclient_id = "x"', "line 1: google cannot have a published client id; leave it out: Google"),
    ('[claude]\nclient_id = "x"', "line 1: claude cannot have a published client id; leave it out: the"),
    ('[gitlab]\nclient_id = "x"', "line 1: gitlab cannot have a published client id; leave it out: users"),
    ('[mastodon]\nclient_id = "x"', "leave it out: Mastodon needs no app registration"),
    ('[anthropic]\nclient_id = "x"', "anthropic cannot have a published client id; leave it out"),
    ('[spotify]\nclient_id = "x"', "line 2: spotify.client_id does not say that the app has no secret"),
    ('[spotify.device]\nclient_id = "x"', "leave it out; Spotify can have one for oauth"),
    ('[github.api_key]\nclient_id = "x"', "line 1: github.api_key cannot have a published client id"),
    ('[github]\nclient_id = "x"\nscopes = "repo"', "line 3: github.scopes is not a list of texts"),
    ('[github]\nclient_id = "x"\nscopes = ["repo"]', "line 3: github.scopes lacks read:user user:email"),
    ('[github]\nclient_id = "x"\nredirect = "https://x.org/"', "line 3: github.redirect is not a loopback"),
    ('[github]\nclient_id = "x"\nredirect = "http://127.0.0.1:99999/"', "github.redirect is not a loopback"),
    ('[microsoft]\nclient_id = "my app"', "line 2: microsoft.client_id has characters"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), FAULTS)
def test_s111_a_fault_has_its_line_and_what_to_do(
    presets: dict[str, Provider], tmp_path: Path, text: str, said: str
) -> None:
    found, faults = read_clients(text.encode(), presets)
    sentences = [fault.sentence() for fault in faults]
    assert any(said in sentence for sentence in sentences), sentences
    assert all(sentence.startswith("clients.toml") and "; " in sentence for sentence in sentences)
    assert found == {}
    assert not any('"s"' in sentence for sentence in sentences)
    broken = catalogue(tmp_path, text)
    assert list(faults) == [fault for fault in broken.faults() if "clients.toml" in fault.file]
    assert len(broken.all()) == len(presets)


def test_one_fault_takes_no_other_entry_away(presets: dict[str, Provider]) -> None:
    found, faults = read_clients(FILE.encode(), presets)
    assert sorted(found) == ["github", "microsoft"]
    assert [fault.key for fault in faults] == ["spotify.oauth.redirect"]


def test_each_preset_can_have_one_or_says_why_not(presets: dict[str, Provider]) -> None:
    can = [provider.id for provider in presets.values() if why_not(provider) is None]
    assert {"github", "microsoft", "spotify", "discord", "dropbox", "nexusmods"} <= set(can)
    for name in can:
        (method, *_) = can_be_published(presets[name])
        made_up = "00000000-0000-0000-0000-000000000000"
        found, faults = read_clients(f'[{name}.{method}]\nclient_id = "{made_up}"\n'.encode(), presets)
        if presets[name].client.id_pattern is None:
            assert (sorted(found), faults) == ([name], ())


def test_a_build_takes_a_file_that_is_right_and_no_other(tmp_path: Path) -> None:
    shutil.copytree(PRESETS, tmp_path / "resources" / "providers")
    script = (
        "import sys; from pathlib import Path; import _clients\n"
        "try: print(_clients.install(Path(sys.argv[1]), Path(sys.argv[2])))\n"
        "except _clients.ClientsError as error: sys.exit(str(error))\n"
    )
    file = tmp_path / "mine.toml"

    def install() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", "-c", script, str(file), str(tmp_path)], cwd=ROOT / "build",
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    target = tmp_path / "resources" / "clients.toml"
    assert install().stderr == f"{file} cannot be read: No such file or directory\n"
    file.write_text('[github]\nclient_id = "x"\n[google]\nclient_id = "x"\n')
    assert install().stderr.startswith(
        f"{file}, line 3: google cannot have a published client id; leave it out"
    )
    assert not target.exists()
    file.write_text('[github]\nclient_id = "x"\n')
    assert install().stdout == "['github']\n"
    assert target.read_bytes() == file.read_bytes()
