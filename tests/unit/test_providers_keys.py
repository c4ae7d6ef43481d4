"""A key is checked before it travels: by the preset's own pattern, and by those of the others (S-60)."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyfob.agent.remedies import REMEDIES
from keyfob.core.errors import Usage
from keyfob.core.provider import Api, ApiKeyProfile, Provider, SecondPart
from keyfob.core.resources import resources
from keyfob.core.secret import Secret
from keyfob.providers.catalogue import Catalogue
from keyfob.providers.keys import check_key, recognised
from keyfob.service.accounts.views import SignInRequest
from keyfob.tools import hosts
from support.rig import Rig

CATALOGUE = Catalogue(resources() / "providers")
KEYS = {
    "anthropic": "sk-ant-" + "api03-made-up",
    "openai-api": "sk-" + "proj-made-up",
    "openrouter": "sk-" + "or-v1-made-up",
    "github": "github_" + "pat_made_up",
    "huggingface": "hf_" + "madeup",
    "curseforge": "$2a$10$" + "madeup",
    "guildwars2": "0F1E2D3C-" * 8,
    "postman": "PMAK-" + "0f" * 29,
    "pulumi": "pul-" + "0f" * 20,
    "terraform": "madeupmadeup00" + ".atlasv1." + "x" * 67,
    "launchdarkly": "api-" + "0f1e2d3c-0f1e-4f1e-0f1e-0f1e2d3c4b5a",
    "elevenlabs": "sk_" + "0f" * 24,
    "sendgrid": "SG." + "m" * 22 + "." + "u" * 43,
    "contentful": "CFPAT-" + "m" * 43,
    "doppler": "dp.pt." + "m" * 43,
    "grafana": "glsa_" + "m" * 41,
    "typeform": "tfp_" + "m" * 44,
    "brevo": "xkeysib-" + "m" * 81,
    "neon": "napi_" + "m" * 64,
    "ntfy": "tk_" + "m" * 29,
    "sourcegraph": "sgp_" + "0f" * 20,
    "airtable": "pat" + "MadeUpMadeUp00." + "0123456789abcdef" * 4,
    "asana": "2/1200000000000001/1200000000000002:" + "0123456789abcdef" * 2,
    "databricks": "dapi" + "0123456789abcdef" * 2,
    "hubspot": "pat-" + "eu1-01234567-89ab-cdef-0123-456789abcdef",
    "npm": "npm_" + "madeup" * 6,
    "sentry": "sntryu_" + "0123456789abcdef" * 4,
    "stripe": "rk_" + "live_madeupmadeup",
    "clickup": "pk_1234567_" + "MADEUP00" * 4,
    "gemini": "AI" + "za" + "made-up".ljust(35, "0"),
    "groq": "gs" + "k_madeup",
    "xai": "xa" + "i-madeup",
    "deepseek": "sk-" + "madeup".ljust(32, "0"),
    "replicate": "r8" + "_madeup",
    "perplexity": "pplx" + "-madeup",
    "linear": "lin_" + "api_madeup",
    "jira": "ATA" + "TT3made-up=00000000",
    "digitalocean": "dop_" + "v1_" + "0123456789abcdef" * 4,
    "supabase": "sbp_" + "0123456789" * 4,
    "fly": "FlyV1 " + "fm2_madeup",
    "calcom": "cal_" + "live_" + "0f" * 16,
    "portainer": "ptr_" + "m" * 44,
}


@pytest.mark.parametrize("name", KEYS)
def test_a_key_is_taken_by_its_own_provider_and_by_no_other(name: str) -> None:
    check_key(CATALOGUE.get(name), CATALOGUE.all(), Secret(KEYS[name]))
    for other in KEYS.keys() - {name}:
        with pytest.raises(Usage) as caught:
            check_key(CATALOGUE.get(other), CATALOGUE.all(), Secret(KEYS[name]))
        assert caught.value.code == "key_unfit"
        assert KEYS[name] not in f"{caught.value.sentence(REMEDIES)} {caught.value.detail}"


@pytest.mark.parametrize(
    ("name", "key", "what", "hint"),
    [
        ("github", KEYS["anthropic"], "This looks like an Anthropic key", "A fine-grained token begins with"),
        ("openai-api", KEYS["anthropic"], "This looks like an Anthropic key", "Begins with sk-"),
        ("anthropic", KEYS["github"], "This looks like a GitHub token", "Begins with sk-ant-api"),
        ("anthropic", "sk-ant-" + "oat01-made-up", "This is not an Anthropic key", "Begins with sk-ant-api"),
        ("github", "hello", "This is not a GitHub token", "A fine-grained token begins with github_pat_"),
        ("notion", KEYS["huggingface"], "This looks like a Hugging Face token", ""),
    ],
)
def test_the_sentence_says_whose_key_it_is_or_how_one_looks(
    name: str, key: str, what: str, hint: str
) -> None:
    with pytest.raises(Usage) as caught:
        check_key(CATALOGUE.get(name), CATALOGUE.all(), Secret(key))
    assert caught.value.message == what
    copy = "Copy the key again from the provider's page."
    assert caught.value.sentence(REMEDIES).startswith(f"{what}. {copy} {hint}")


def test_without_a_pattern_every_other_key_is_taken() -> None:
    for name in ("notion", "gitlab", "gitea", "zenodo"):
        check_key(CATALOGUE.get(name), CATALOGUE.all(), Secret("0123456789abcdef"))
    # A key of any server, which the user names.
    check_key(CATALOGUE.get("api-key"), CATALOGUE.all(), Secret(KEYS["anthropic"]))
    # Any text: older servers create tokens of no form.
    check_key(CATALOGUE.get("github-enterprise"), CATALOGUE.all(), Secret("0" * 40))
    check_key(CATALOGUE.get("github"), CATALOGUE.all(), Secret(KEYS["github"] + "x" * 4000))


def test_a_pattern_that_everything_matches_recognises_nothing() -> None:
    anything = Provider("a", "A", api_key=ApiKeyProfile(pattern="[!-~]+"))
    assert recognised([anything], Secret("hello")) is None


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        ("[0-9a-f]{40}", "1a" * 20),
        ("[a-z0-9]{52}", "1z" * 26),
        ("[0-9A-Za-z]{20}", "1Z" * 10),
        ("[0-9a-f-]{36}", "1a2b3c4d-" * 4),
        ("eyJ[!-~]+", "eyJ" + "h.eyJz.c2ln"),
    ],
)
def test_a_pattern_without_a_beginning_of_its_own_recognises_nothing(pattern: str, key: str) -> None:
    """Many providers have keys of 40 hexadecimal digits: their form says nothing of where they are from."""
    own = Provider("a", "A", api_key=ApiKeyProfile(pattern=pattern))
    other = Provider("b", "B", api_key=ApiKeyProfile())
    check_key(own, [own, other], Secret(key))
    assert recognised([own], Secret(key)) is None
    check_key(other, [own, other], Secret(key))


def test_a_key_that_does_not_fit_is_not_sent(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    path = rig.presets / "example.toml"
    path.write_text(
        path.read_text().replace("[api_key]", '[api_key]\npattern = "ex-.+"\nhint = "Begins with ex-"', 1)
    )
    request = SignInRequest("example", "api_key", api_key=Secret(" hello "))
    with pytest.raises(Usage) as caught:
        rig.engine.sign_in.begin(request)
    assert caught.value.code == "key_unfit"
    assert rig.server.log == []


def test_each_part_of_a_key_has_its_own_form() -> None:
    second = SecondPart("Application key", "X-App", hint="It begins with app-", pattern=r"app-\w+")
    two = Provider("p", "Acme", api_key=ApiKeyProfile(pattern=r"api-\w+", api=Api(second=second)))
    check_key(two, [], Secret("api-1 app-2"))
    check_key(two, [], Secret("api-1\napp-2"))
    for wrong, what in (("app-2 api-1", "Application key"), ("key-1 app-2", "Acme key")):
        with pytest.raises(Usage) as caught:
            check_key(two, [], Secret(wrong))
        assert caught.value.code == "key_unfit"
        assert what in caught.value.message


def test_each_variable_of_an_environment_file_is_of_one_preset_with_keys() -> None:
    table = hosts.table("env")
    assert [name for name in table if "api_key" not in CATALOGUE.get(name).methods] == []
    variables = [variable for names in table.values() for variable in names]
    assert sorted(set(variables)) == sorted(variables)
