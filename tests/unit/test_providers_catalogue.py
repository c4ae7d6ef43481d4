"""The catalogue: the person's file wins and appears at once, a faulty
one breaks nothing else, families resolve.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from keyfob.core.errors import NotFound, SettingWrong
from keyfob.core.resources import resources
from keyfob.providers import catalogue as module
from keyfob.providers.catalogue import Catalogue

OWN = resources() / "providers"
ACME = """
# Rests on: nothing, this is a test.
id = "acme"
title = "Acme"
tested = "documentation"
color = "#224466"
[policy]
register_at = "https://acme.example/apps"
[endpoints]
authorization_endpoint = "https://acme.example/authorize"
token_endpoint = "https://acme.example/token"
userinfo_endpoint = "https://acme.example/me"
"""


@pytest.fixture
def user(tmp_path: Path) -> Path:
    folder = tmp_path / "providers"
    folder.mkdir()
    return folder


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_file_of_the_persons_appears_at_once_and_goes_at_once(user: Path) -> None:
    catalogue = Catalogue(OWN, user)
    before = len(catalogue.all())
    with pytest.raises(NotFound):
        catalogue.get("acme")
    path = put(user, "acme", ACME)
    assert catalogue.get("acme").origin == "user"
    assert len(catalogue.all()) == before + 1
    path.unlink()
    with pytest.raises(NotFound) as caught:
        catalogue.get("acme")
    assert caught.value.code == "provider_not_found"
    assert len(catalogue.all()) == before


def test_a_change_is_seen_even_where_the_length_stays(user: Path) -> None:
    catalogue = Catalogue(OWN, user)
    path = put(user, "acme", ACME)
    assert catalogue.get("acme").title == "Acme"
    path.write_text(ACME.replace('"Acme"', '"Abba"'), "utf-8")
    os.utime(path, ns=(1, 1))
    assert catalogue.get("acme").title == "Abba"


def test_the_persons_file_wins_by_id(user: Path) -> None:
    put(user, "github", ACME.replace("acme", "github", 1).replace('"Acme"', '"My GitHub"'))
    catalogue = Catalogue(OWN, user)
    assert catalogue.get("github").title == "My GitHub"
    assert [p.id for p in catalogue.all()].count("github") == 1
    assert catalogue.get("gitlab").origin == "keyfob"


def test_the_persons_file_may_build_on_ours_of_the_same_id(user: Path) -> None:
    put(user, "openai", 'extends = "openai"\nid = "openai"\n[policy]\nshare = true\n')
    provider = Catalogue(OWN, user).get("openai")
    ours = Catalogue(OWN).get("openai")
    assert (provider.policy.share, ours.policy.share) == (True, False)
    assert provider.title == ours.title
    assert provider.endpoints == ours.endpoints


def test_what_the_terms_forbid_is_open_to_who_registered_a_client(user: Path) -> None:
    assert "Anthropic" in (Catalogue(OWN, user).get("claude").policy.blocked or "")
    put(user, "claude", 'extends = "claude"\nid = "claude"\n')
    assert Catalogue(OWN, user).get("claude").policy.blocked is not None
    put(user, "claude", 'extends = "claude"\nid = "claude"\n[client]\nclient_id = "registered-for-me"\n')
    provider = Catalogue(OWN, user).get("claude")
    assert (provider.policy.blocked, provider.client.client_id) == (None, "registered-for-me")


def test_a_family_merges_tables_and_replaces_lists(user: Path) -> None:
    put(
        user,
        "mine",
        'extends = "gitlab"\nid = "mine"\ntitle = "Mine"\nscopes = ["api"]\n[policy]\nnote = "x"\n',
    )
    provider, ours = Catalogue(OWN, user).get("mine"), Catalogue(OWN).get("gitlab")
    assert provider.scopes == ("api",)
    assert provider.policy.note == "x"
    assert provider.policy.register_at == ours.policy.register_at
    assert provider.endpoints == ours.endpoints
    assert provider.inputs == ours.inputs


def test_a_title_is_not_inherited(user: Path) -> None:
    put(user, "mine", 'extends = "gitlab"\nid = "mine"\n')
    assert [fault.key for fault in Catalogue(OWN, user).faults()] == ["title"]


def test_a_change_of_the_parent_reaches_the_child(user: Path) -> None:
    catalogue = Catalogue(OWN, user)
    put(user, "acme", ACME)
    put(user, "child", 'extends = "acme"\nid = "child"\ntitle = "Child"\n')
    assert catalogue.get("child").color == "#224466"
    put(user, "acme", ACME.replace("#224466", "#882211"))
    assert catalogue.get("child").color == "#882211"


def test_a_parent_that_comes_later_mends_the_child(user: Path) -> None:
    catalogue = Catalogue(OWN, user)
    put(user, "child", 'extends = "acme"\nid = "child"\ntitle = "Child"\n')
    with pytest.raises(SettingWrong, match="which does not exist"):
        catalogue.get("child")
    put(user, "acme", ACME)
    assert catalogue.get("child").title == "Child"


def test_ours_build_on_ours_alone(user: Path) -> None:
    """A file of the person's changes its own id, not the ones of ours that build on it."""
    before = Catalogue(OWN).get("keycloak")
    put(user, "oidc", ACME.replace("acme", "oidc", 1))
    assert Catalogue(OWN, user).get("keycloak") == before


@pytest.mark.parametrize(
    "files",
    [
        {"a": 'extends = "a"\nid = "a"\n'},
        {"a": 'extends = "b"\nid = "a"\n', "b": 'extends = "a"\nid = "b"\n'},
        {
            "a": 'extends = "b"\nid = "a"\n',
            "b": 'extends = "c"\nid = "b"\n',
            "c": 'extends = "b"\nid = "c"\n',
        },
        {f"n{n}": f'extends = "n{n + 1}"\nid = "n{n}"\n' for n in range(20)},
    ],
    ids=["itself", "two", "below", "endless"],
)
def test_a_circle_is_a_fault_and_no_loop(user: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        put(user, name, text)
    catalogue = Catalogue(OWN, user)
    assert {fault.file for fault in catalogue.faults()} == {f"{name}.toml" for name in files}
    with pytest.raises(SettingWrong):
        catalogue.get(next(iter(files)))


def test_a_faulty_file_breaks_no_other_and_does_not_give_way_to_ours(user: Path) -> None:
    """A preset that would have won is refused until it is mended: falling back to ours could send the
    person's tokens to a server they had replaced.
    """
    put(user, "github", "title = 7")
    put(user, "broken", "= = =")
    catalogue = Catalogue(OWN, user)
    assert catalogue.get("gitlab").title == "GitLab"
    assert "github" not in {provider.id for provider in catalogue.all()}
    assert {fault.file for fault in catalogue.faults()} == {"github.toml", "broken.toml"}
    with pytest.raises(SettingWrong) as caught:
        catalogue.get("github")
    assert caught.value.code == "preset_faulty"
    assert "github.toml" in caught.value.sentence()


def test_the_file_is_called_like_its_id(user: Path) -> None:
    put(user, "other", ACME)
    fault = Catalogue(OWN, user).faults()[0]
    assert (fault.file, fault.key) == ("other.toml", "id")
    assert '"other"' in fault.should


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../etc/passwd", "a/b", "a\\b", "a\0b", ".hidden", "GITHUB " * 50]
)
def test_an_id_is_no_path(user: Path, name: str) -> None:
    (user.parent / "secret.toml").write_text(ACME, "utf-8")
    with pytest.raises(NotFound):
        Catalogue(OWN, user).get(name)
    with pytest.raises(NotFound):
        Catalogue(OWN, user).get("../secret")


def test_what_is_no_preset_file_is_passed_over(user: Path) -> None:
    put(user, ".hidden", "nonsense")
    (user / "notes.txt").write_text("nonsense", "utf-8")
    (user / "folder.toml").mkdir()
    assert Catalogue(OWN, user).faults() == []


def test_a_file_that_cannot_be_read_is_a_fault(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(user, "acme", ACME)
    real = Path.read_bytes

    def refused(self: Path) -> bytes:
        if self == path:
            raise PermissionError(13, "Permission denied")
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", refused)
    assert "cannot be read" in Catalogue(OWN, user).faults()[0].sentence()


def test_the_persons_folder_need_not_exist(tmp_path: Path) -> None:
    assert len(Catalogue(OWN, tmp_path / "none").all()) == len(Catalogue(OWN).all())


def test_one_provider_reads_its_own_files_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """`keyfob token` must not pay for sixty presets."""
    read: list[str] = []
    real = Path.read_bytes

    def counted(self: Path) -> bytes:
        read.append(self.name)
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", counted)
    catalogue = Catalogue(OWN)
    catalogue.get("github")
    assert read == ["github.toml"]
    catalogue.get("codeberg")
    assert read == ["github.toml", "codeberg.toml", "forgejo.toml", "gitea.toml"]
    catalogue.get("codeberg")
    catalogue.get("forgejo")
    assert len(read) == 4


def test_a_preset_is_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []
    real = module.judge
    monkeypatch.setattr(
        module, "judge", lambda table, ours: judged.append(table["id"]) or real(table, ours=ours)
    )
    catalogue = Catalogue(OWN)
    assert catalogue.all() == catalogue.all()
    assert len(judged) == len(set(judged)) == len(catalogue.ids())


def test_a_further_folder_of_ours_counts_as_ours(user: Path, tmp_path: Path) -> None:
    more = tmp_path / "demo"
    more.mkdir()
    put(more, "acme", ACME)
    catalogue = Catalogue(OWN, user, more=(more,))
    assert catalogue.get("acme").origin == "keyfob"
    assert "acme" in {provider.id for provider in catalogue.all()}
    put(user, "acme", ACME)
    assert catalogue.get("acme").origin == "user"


def test_the_demos_preset_is_right() -> None:
    catalogue = Catalogue(OWN, more=(resources() / "demo",))
    assert catalogue.faults() == []
    assert catalogue.get("demo").category == "demo"


def test_threads_share_it(user: Path) -> None:
    catalogue = Catalogue(OWN, user)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(catalogue.all()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [len(catalogue.ids())] * 8


def test_what_is_extended_can_be_dropped(user: Path) -> None:
    catalogue = Catalogue(OWN, user)
    put(
        user,
        "mine",
        'extends = "github"\nid = "mine"\ntitle = "Mine"\nmethods = ["oauth"]\n'
        'drop = ["api_key", "access", "revocation.page"]\n'
        '[[access]]\nid = "own"\ntitle = "Own"\nscopes = ["x"]\n',
    )
    provider, ours = catalogue.get("mine"), catalogue.get("github")
    assert ours.api_key is not None
    assert ours.revocation.page is not None
    assert (provider.api_key, provider.revocation.page) == (None, None)
    assert provider.revocation.style == ours.revocation.style
    assert [each.id for each in provider.access] == ["own"]
    put(user, "grandchild", 'extends = "mine"\nid = "grandchild"\ntitle = "G"\n')
    assert catalogue.get("grandchild").api_key is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('drop = ["api_kye"]', 'names "api_kye"'),
        ('drop = ["api.nothing"]', 'names "api.nothing"'),
        ('drop = ["id"]', 'names "id"'),
        ('drop = "api_key"', "not a list"),
        ("drop = [1]", "not a list"),
    ],
)
def test_only_what_is_there_can_be_dropped(user: Path, line: str, problem: str) -> None:
    put(user, "mine", f'extends = "github"\nid = "mine"\ntitle = "Mine"\n{line}\n')
    (fault,) = Catalogue(OWN, user).faults()
    assert fault.key == "drop"
    assert problem in fault.problem


def test_without_extends_there_is_nothing_to_drop(user: Path) -> None:
    put(user, "acme", f'drop = ["api_key"]\n{ACME}')
    (fault,) = Catalogue(OWN, user).faults()
    assert fault.key == "drop"


KEYED = (
    'id = "keyed"\ntitle = "Keyed"\nmethods = ["oauth", "api_key"]\n[policy]\nregister_at = "https://k.example/apps"\n'
    '[endpoints]\nauthorization_endpoint = "https://k.example/a"\ntoken_endpoint = "https://k.example/t"\n'
    '[api]\nbase = "https://api.k.example"\nhosts = ["*.k.example"]\nheaders = { X-Version = "2" }\n'
    '[identity]\nsource = "request"\nurl = "https://api.k.example/me"\nmap = { subject = "id" }\n[api_key]\n'
)


def test_keys_share_what_they_do_not_say(user: Path) -> None:
    catalogue = Catalogue(OWN, user)
    put(user, "keyed", KEYED)
    provider = catalogue.get("keyed")
    assert provider.api_key is not None
    assert (provider.api_key.api, provider.api_key.identity) == (provider.api, provider.identity)
    put(user, "keyed", f'{KEYED}[api_key.api]\nplacement = "header"\nname = "X-Key"\n')
    own = catalogue.get("keyed").api_key
    assert own is not None
    assert (own.api.base, own.api.hosts) == (provider.api.base, provider.api.hosts)
    assert (own.api.placement, dict(own.api.headers)) == ("header", {})
    put(
        user,
        "keyed",
        f'{KEYED}[api_key.api]\nbase = "https://keys.k.example"\n[api_key.identity]\nsource = "none"\n',
    )
    own = catalogue.get("keyed").api_key
    assert own is not None
    assert (own.api.base, own.api.hosts, own.identity.source) == ("https://keys.k.example", (), "none")


def test_a_key_is_not_asked_for_by_an_id_token(user: Path) -> None:
    """What a sign-in's own token says, no key says."""
    asked = 'source = "request"\nurl = "https://api.k.example/me"'
    test = '[test]\nurl = "https://api.k.example/me"\n'
    put(user, "keyed", KEYED.replace(asked, 'source = "token_answer"') + test)
    (fault,) = Catalogue(OWN, user).faults()
    assert fault.key == "api_key.identity.url"


def test_a_fault_in_what_keys_share_is_said_once(user: Path) -> None:
    put(user, "keyed", KEYED.replace("https://api.k.example", "http://api.k.example"))
    assert [fault.key for fault in Catalogue(OWN, user).faults()] == ["api.base", "identity.url"]
