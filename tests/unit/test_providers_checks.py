"""Presets are judged whole: ours all pass, every planted fault is
named with its key and what it should be.
"""

from __future__ import annotations

import copy
import sys
import tomllib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keyfob.core.provider import Provider
from keyfob.core.resources import resources
from keyfob.providers.catalogue import Catalogue
from keyfob.providers.checks import check, judge
from keyfob.providers.schema import keys_of
from keyfob.providers.schema_check import PresetFault
from keyfob.providers.toml_text import to_toml
from keyfob.providers.values import contrast_with_white, url_fault

OWN = resources() / "providers"
GOOD: dict[str, Any] = {
    "id": "acme",
    "title": "Acme",
    "tested": "documentation",
    "color": "#224466",
    "methods": ["oauth"],
    "scopes": ["profile"],
    "policy": {"register_at": "https://acme.example/apps"},
    "endpoints": {
        "authorization_endpoint": "https://acme.example/authorize",
        "token_endpoint": "https://acme.example/token",
        "userinfo_endpoint": "https://acme.example/me",
    },
    "redirect": {"port": "any"},
    "api": {"base": "https://api.acme.example"},
}
ABSENT = object()


def planted(**changes: Any) -> dict[str, Any]:
    """GOOD with dotted keys (`__` for the dots) set, or removed with ABSENT."""
    table = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *way, last = path.split("__")
        at = table
        for step in way:
            at = at.setdefault(step, {})
        if value is ABSENT:
            del at[last]
        else:
            at[last] = value
    return table


def faults_of(table: dict[str, Any], *, ours: bool = False) -> tuple[PresetFault, ...]:
    return judge(table, ours=ours)[1]


def nobody(name: str, own: bool) -> None:
    return None


KEY_METHOD: dict[str, Any] = {
    "methods": ["api_key"],
    "api_key": {"identity": {"url": "https://api.acme.example/me"}},
}
INPUT = {"name": "tenant", "title": "Tenant"}

# what is planted, the key that must be named, what the answer must say
FAULTS: list[tuple[str, dict[str, Any], str, str]] = [
    # shape
    ("unknown key", {"titel": "Acme"}, "titel", "did you mean title?"),
    ("unknown in table", {"endpoints__token_endpont": "https://a.example"}, "endpoints.token_endpont",
     "token_endpoint"),
    ("wrong table", {"token_endpoint": "https://a.example"}, "token_endpoint", "endpoints.token_endpoint"),
    ("nothing near", {"zzzzzz": 1}, "zzzzzz", "the keys of this table are"),
    ("no id", {"id": ABSENT}, "id", "lower-case letters"),
    ("no title", {"title": ABSENT}, "title", "a string"),
    ("id of another form", {"id": "Acme Inc"}, "id", "lower-case letters"),
    ("id as a path", {"id": "../acme"}, "id", "lower-case letters"),
    ("title a number", {"title": 7}, "title", "a string"),
    ("title with a line break", {"title": "Ac\nme"}, "title", "a string"),
    ("scopes a text", {"scopes": "a b"}, "scopes", "a list"),
    ("a scope a number", {"scopes": ["a", 7]}, "scopes.1", "a string"),
    ("policy a text", {"policy": "user"}, "policy", "a table, [policy]"),
    ("map value a list", {"identity": {"map": {"subject": ["id"]}}}, "identity.map.subject", "a string"),
    ("params a list", {"authorize_params": ["a"]}, "authorize_params", "a table of strings"),
    ("share a text", {"policy__share": "no"}, "policy.share", "true or false"),
    ("category misspelt", {"category": "gamez"}, "category", 'did you mean "games"? It should be one of'),
    ("category unknown", {"category": "cars"}, "category", 'it should be one of "games"'),
    ("method unknown", {"methods": ["oauth2"]}, "methods.0", '"oauth"'),
    ("no methods", {"methods": []}, "methods", '"oauth"'),
    ("pkce plain", {"pkce": "plain"}, "pkce", '"S256"'),
    ("client auth unknown", {"client": {"auth": "secret_jwt"}}, "client.auth", '"client_secret_basic"'),
    ("tested otherwise", {"tested": "yes"}, "tested", '"documentation"'),
    ("facts misspelt", {"facts": "20 November 2026"}, "facts", "YYYY-MM-DD"),
    ("facts of no day", {"facts": "2026-02-30"}, "facts", "a date of the calendar"),
    ("a format over plain http", {"formats__openai_chat": "http://api.acme.example/v1"},
     "formats.openai_chat", "https"),
    ("a format at another host", {"formats__anthropic_messages": "https://api.other.example/v1"},
     "formats.anthropic_messages", "api.hosts"),
    ("a format that does not exist", {"formats__openai": "https://api.acme.example"},
     "formats.openai", "openai_chat"),
    ("a channel without its format", {"formats__channel": "codex"}, "formats.openai_responses", "channel"),
    ("port a text", {"redirect": {"port": "fixed", "ports": ["9876"]}}, "redirect.ports.0", "1024 to 65535"),
    ("port too low", {"redirect": {"port": "fixed", "ports": [80]}}, "redirect.ports.0", "1024 to 65535"),
    ("redirect off loopback", {"redirect": {"host": "acme.example"}}, "redirect.host", '"127.0.0.1"'),
    ("redirect on all addresses", {"redirect": {"host": "0.0.0.0"}}, "redirect.host", '"127.0.0.1"'),
    ("a device status that is no refusal", {"device": {"statuses": {"200": "slow_down"}}},
     "device.statuses.200", "400 to 599"),
    ("a device status with another word", {"device": {"statuses": {"418": "teapot"}}},
     "device.statuses.418", "access_denied"),
    ("an input of a method that is not there", {"inputs": [{**INPUT, "methods": ["api_key"]}],
     "docs": "https://{tenant}.example"}, "inputs.0.methods", "methods of this preset"),
    ("an input of keys where no key goes", {**KEY_METHOD, "methods": ["oauth", "api_key"],
     "inputs": [{**INPUT, "methods": ["api_key"]}], "api__base": "https://{tenant}.example"}, "api.base",
     "remove inputs.0.methods"),
    ("two parts of a token", {"api__second": {"title": "Second", "name": "X-Second"}}, "api.second",
     "[api_key.api.second]"),
    ("a second part nowhere", {**KEY_METHOD, "api_key": {"identity": {"url": "https://api.acme.example/me"},
     "api": {"second": {"title": "Second"}}}}, "api_key.api.second.name", "header"),
    ("a second part in a strange header", {**KEY_METHOD, "api_key": {"identity":
     {"url": "https://api.acme.example/me"}, "api": {"second": {"title": "Second", "name": "X Y"}}}},
     "api_key.api.second.name", "letters, digits"),
    ("an answered address anywhere", {"api__from_answer": {"field": "url", "hosts": ["*.com"]}},
     "api.from_answer.hosts.0", "two labels"),
    ("an answered address with no hosts", {"api__from_answer": {"field": "url", "hosts": []}},
     "api.from_answer.hosts", "a list"),
    ("an answered address for a key", {**KEY_METHOD, "api_key": {"identity": {"url":
     "https://api.acme.example/me"}, "api": {"from_answer": {"field": "u", "hosts": ["a.example"]}}}},
     "api_key.api.from_answer", "[api]"),
    ("a key's who-am-I by a path, and no base",
     {"methods": ["oauth", "api_key"], "api": {"from_answer": {"field": "u", "hosts": ["a.example"]}},
      "identity": {"source": "request", "url": "/me", "map": {"subject": "id"}}, "api_key": {}},
     "api_key.api.base", "the path /me needs it"),
    ("who-am-I by a path alone", {"identity": {"source": "request", "url": "/me", "map": {"subject": "id"}}},
     "identity.url", "https://"),
    ("all hosts below a top level", {"api__hosts": ["*.com"]}, "api.hosts.0", "two labels"),
    ("all hosts below what everybody shares", {"api__hosts": ["*.co.uk"]}, "api.hosts.0", "anybody"),
    ("a star inside a host", {"api__hosts": ["api.*.example"]}, "api.hosts.0", "host name"),
    ("who-am-I beside the hosts below a name",
     {"api__hosts": ["*.acme.example"], "identity": {"source": "request", "url": "https://evilacme.example/me",
      "map": {"subject": "id"}}}, "identity.url", "only to the hosts"),
    ("a hint, no time", {"lifetimes": {"ended_hint": "x"}}, "lifetimes.ended_after", "ended_hint needs it"),
    ("a time, no hint", {"lifetimes": {"ended_after": 9}}, "lifetimes.ended_hint", "ended_after needs it"),
    ("lifetime zero", {"lifetimes": {"access": 0}}, "lifetimes.access", "a whole number"),
    ("lifetime a text", {"lifetimes": {"access": "1h"}}, "lifetimes.access", "a whole number"),
    ("lifetime a truth", {"lifetimes": {"access": True}}, "lifetimes.access", "a whole number"),
    ("input without title", {"inputs": [{"name": "tenant"}]}, "inputs.0.title", "a string"),
    ("input with an unknown key", {"inputs": [{**INPUT, "tittle": "x"}]}, "inputs.0.tittle", "title"),
    ("icon with a path", {"icon": "../x"}, "icon", "a string"),
    # looks
    ("colour no colour", {"color": "red"}, "color", "#rrggbb"),
    ("colour too light", {"color": "#ffee88"}, "color", "contrast"),
    ("method twice", {"methods": ["oauth", "oauth"]}, "methods", "once"),
    # addresses
    ("plain http", {"endpoints__token_endpoint": "http://acme.example/t"}, "endpoints.token_endpoint",
     "https"),
    ("plain http in docs", {"docs": "http://acme.example"}, "docs", "https"),
    ("another scheme", {"endpoints__token_endpoint": "ftp://acme.example/t"}, "endpoints.token_endpoint",
     "https"),
    ("a file", {"endpoints__authorization_endpoint": "file:///etc/passwd"},
     "endpoints.authorization_endpoint", "https"),
    ("a user name", {"api__base": "https://user:pw@api.acme.example"}, "api.base", "no username"),
    ("a fragment", {"api__base": "https://api.acme.example/#x"}, "api.base", "#fragment"),
    ("blanks", {"api__base": "https://api.acme.example/a b"}, "api.base", "without spaces"),
    ("a look-alike host", {"api__base": "https://аpi.acme.example"}, "api.base", "ASCII"),
    ("no host", {"api__base": "https://"}, "api.base", "https://"),
    ("a broken port", {"api__base": "https://api.acme.example:x"}, "api.base", "https://host/path"),
    ("http that begins like loopback", {"api__base": "http://127.0.0.1.acme.example"}, "api.base",
     "only for loopback"),
    ("discovery without issuer", {"discovery": "openid"}, "issuer", "discovery needs it"),
    ("discovery of another kind", {"discovery": "webfinger"}, "discovery", '"openid"'),
    ("a resource with a fragment", {"resource": "api://acme#x"}, "resource", "without #fragment"),
    ("a relative resource", {"resource": "/acme"}, "resource", "absolute URI"),
    ("a resource with blanks", {"resource": "urn:ac me"}, "resource", "absolute URI"),
    ("a resource that goes on", {"resource": "urn:acme\n"}, "resource", "absolute URI"),
    ("a resource that is code", {"resource": "javascript:alert"}, "resource", "only values"),
    ("host with a scheme", {"api__hosts": ["https://acme.example"]}, "api.hosts.0", "only a host name"),
    ("host with capitals", {"api__hosts": ["ACME.example"]}, "api.hosts.0", "lower case"),
    # inputs and placeholders
    ("no such input", {"api__base": "https://{tenant}.acme.example"}, "api.base", 'name = "tenant"'),
    (
        "input misspelt",
        {"inputs": [INPUT], "api__base": "https://{tenant}.acme.example",
         "docs": "https://{tenent}.acme.example"},
        "docs",
        "did you mean {tenant}?",
    ),
    ("input unused", {"inputs": [INPUT]}, "inputs.0.name", "{tenant}"),
    ("input twice", {"inputs": [INPUT, INPUT], "docs": "https://{tenant}.example"}, "inputs.1.name", "once"),
    ("bad pattern", {"inputs": [{**INPUT, "pattern": "("}], "docs": "https://{tenant}.example"},
     "inputs.0.pattern", "regular"),
    (
        "default that does not fit",
        {"inputs": [{**INPUT, "pattern": "[a-z]+", "default": "7"}], "docs": "https://{tenant}.example"},
        "inputs.0.default",
        "pattern",
    ),
    ("placeholder in a header", {"api__headers": {"X-Tenant": "{tenant}"}}, "api.headers.X-Tenant",
     "[[inputs]]"),
    # code and secrets
    ("a shell's braces", {"policy__note": "${HOME}"}, "policy.note", "only values"),
    ("a template's braces", {"authorize_params": {"a": "{{ x }}"}}, "authorize_params.a", "only values"),
    ("a shell's command", {"authorize_params": {"a": "$(id)"}}, "authorize_params.a", "only values"),
    ("a script", {"policy__note": "<script>alert(1)</script>"}, "policy.note", "only values"),
    ("a javascript address", {"docs": "javascript:alert(1)"}, "docs", "only values"),
    ("Python", {"authorize_params": {"a": "__import__('os')"}}, "authorize_params.a", "only values"),
    ("an expression", {"authorize_params": {"a": "eval(x)"}}, "authorize_params.a", "only values"),
    ("client secret as a key", {"client": {"client_secret": "hunter2"}}, "client.client_secret", "keychain"),
    ("client secret in the body", {"token_params": {"client_secret": "hunter2"}},
     "token_params.client_secret", "remove it"),
    ("a key in a header", {"api__headers": {"X-Key": "sk-" + "a" * 24}}, "api.headers.X-Key", "keychain"),
    ("a private key", {"policy__note": "-----BEGIN PRIVATE KEY-----"}, "policy.note", "keychain"),
    # headers and parameters
    ("own Authorization", {"api__headers": {"Authorization": "Bearer x"}}, "api.headers.Authorization",
     "remove it"),
    ("a Cookie", {"token_headers": {"Cookie": "a=b"}}, "token_headers.Cookie", "remove it"),
    ("a header's name with a blank", {"api__headers": {"X Key": "a"}}, "api.headers.X Key",
     "letters, digits"),
    ("a header with a line break", {"api__headers": {"X-Key": "a\r\nHost: b"}}, "api.headers.X-Key",
     "one line"),
    ("own state", {"authorize_params": {"state": "x"}}, "authorize_params.state", "Keyfob sends it"),
    ("own verifier", {"token_params": {"code_verifier": "x"}}, "token_params.code_verifier",
     "Keyfob sends it"),
    ("own redirect", {"authorize_params": {"redirect_uri": "https://x"}}, "authorize_params.redirect_uri",
     "Keyfob sends it"),
    ("scopes in one text", {"scopes": ["openid profile"]}, "scopes.0", "one word"),
    ("scope twice", {"scopes": ["a", "a"]}, "scopes", "once"),
    # methods
    ("no token endpoint", {"endpoints__token_endpoint": ABSENT}, "endpoints.token_endpoint", "discovery"),
    ("no authorization endpoint", {"endpoints__authorization_endpoint": ABSENT},
     "endpoints.authorization_endpoint", "oauth"),
    ("device without its endpoint", {"methods": ["oauth", "device"]},
     "endpoints.device_authorization_endpoint", "device"),
    ("key without its table", {"methods": ["oauth", "api_key"]}, "api_key", "[api_key]"),
    ("key table without the method", {"api_key": KEY_METHOD["api_key"]}, "methods", "[api_key]"),
    ("atproto without DPoP", {"methods": ["atproto"]}, "dpop", "always"),
    ("app password without a way", {"methods": ["app_password"]}, "quirks", "login_flow_v2"),
    # client and policy
    ("key method without an algorithm", {"client": {"auth": "private_key_jwt"}}, "client.alg", "ES256"),
    ("secret without a way", {"client": {"secret": "required"}}, "client.auth", "client_secret_basic"),
    ("public client without PKCE", {"pkce": "none"}, "pkce", "S256"),
    ("environment of another name", {"client": {"env": {"id": "ACME_ID"}}}, "client.env.id", "client_id"),
    ("environment that is everyone's", {"client": {"env": {"client_id": "PATH"}}}, "client.env.client_id",
     "ACME_CLIENT_ID"),
    ("no page to register at", {"policy__register_at": ABSENT}, "policy.register_at", "page"),
    ("our client without an id", {"policy__client_id": "keyfob"}, "client.client_id", "needs it"),
    ("registers nowhere", {"policy__client_id": "dynamic"}, "endpoints.registration_endpoint", "dynamic"),
    ("blocked for no reason", {"policy__blocked": " ", "policy__terms": "https://a.example"},
     "policy.blocked", "reason"),
    ("blocked without terms", {"policy__blocked": "Not allowed."}, "policy.terms", "terms"),
    ("not shared for no reason", {"policy__share": False}, "policy.share_reason", "reason"),
    # redirect
    ("list of no ports", {"redirect": {"port": "list"}}, "redirect.ports", "registered ports"),
    ("fixed to no port", {"redirect": {"port": "fixed"}}, "redirect.ports", "exactly one"),
    ("fixed to two ports", {"redirect": {"port": "fixed", "ports": [9876, 9877]}}, "redirect.ports",
     "exactly one"),
    ("ports not used", {"redirect": {"port": "any", "ports": [9876]}}, "redirect.ports", "list"),
    ("path without a slash", {"redirect": {"path": "callback"}}, "redirect.path", "begin with /"),
    ("path with a query", {"redirect": {"path": "/cb?x=1"}}, "redirect.path", "begin with /"),
    ("hosted redirect without paste", {"redirect": {"uri": "https://acme.example/cb"}}, "redirect.paste",
     "code"),
    # who-am-I
    ("no who-am-I", {"endpoints__userinfo_endpoint": ABSENT}, "endpoints.userinfo_endpoint", "discovery"),
    ("request without an address", {"identity": {"source": "request", "map": {"subject": "id"}}},
     "identity.url", "identity request"),
    ("request that names nobody", {"identity": {"source": "request", "url": "https://acme.example/me"}},
     "identity.map.subject", "id that never changes"),
    ("token answer without a test", {"identity": {"source": "token_answer", "map": {"subject": "id"}}},
     "test.url", "tests the token"),
    ("ID token without keys", {"identity": {"source": "id_token"}}, "endpoints.jwks_uri", "verified"),
    ("key that nobody tries", {"methods": ["oauth", "api_key"], "api_key": {}}, "api_key.identity.url",
     "identity request"),
    ("a key's bad pattern", {**KEY_METHOD, "api_key": {**KEY_METHOD["api_key"], "pattern": "("}},
     "api_key.pattern", "regular"),
    ("a client id's bad pattern", {"client": {"id_pattern": "("}}, "client.id_pattern", "regular"),
    ("who-am-I at a broken address", {"identity": {"source": "request", "url": "https://[x/me",
     "map": {"subject": "id"}}}, "identity.url", "https://host/path"),
    ("test at no host", {"test": {"url": "/me"}}, "test.url", "https://"),
    ("identity of another name", {"identity": {"map": {"nick": "x"}}}, "identity.map.nick", "subject"),
    ("empty path", {"identity": {"map": {"name": "a||b"}}}, "identity.map.name", "path"),
    ("brace without a partner", {"identity": {"map": {"avatar": "https://x/{id"}}}, "identity.map.avatar",
     "path"),
    # where tokens go
    (
        "who-am-I elsewhere",
        {"identity": {"source": "request", "url": "https://evil.example/me", "map": {"subject": "id"}}},
        "identity.url",
        "hosts",
    ),
    ("revocation elsewhere", {"revocation": {"style": "json", "url": "https://evil.example"}},
     "revocation.url", "hosts"),
    ("revocation without a secret elsewhere", {"revocation": {"style": "json", "url": "https://id.example/x",
     "without_secret": {"style": "json", "url": "https://evil.example"}}},
     "revocation.without_secret.url", "hosts"),
    ("revocation's page on http", {"revocation": {"page": "http://id.example/apps"}},
     "revocation.page", "https"),
    ("revocation's body not JSON", {"revocation": {"style": "json", "url": "https://id.example/x",
     "body": "{token}"}}, "revocation.body", "JSON"),
    ("revocation's body without the token", {"revocation": {"style": "json", "url": "https://id.example/x",
     "body": "{}"}}, "revocation.body", "{token}"),
    ("revocation's body in a form", {"revocation": {"style": "form_get", "url": "https://id.example/x",
     "body": '{"token": "{token}"}'}}, "revocation.body", "json"),
    ("revocation's pattern", {"revocation": {"ended": [{"field": "message", "pattern": "(a+)+"}]}},
     "revocation.ended.0.pattern", "repeat"),
    ("an answer's pattern", {"lifetimes": {"terminal": [{"field": "message", "pattern": "("}]}},
     "lifetimes.terminal.0.pattern", "regular"),
    # access
    ("access without scopes", {"access": [{"id": "a", "title": "A"}]}, "access.0.scopes", "list the scopes"),
    ("access twice", {"access": [{"id": "a", "title": "A", "scopes": ["x:1"]},
     {"id": "a", "title": "B", "scopes": ["x:2"]}]}, "access.1.id", "own"),
    ("access titled twice", {"access": [{"id": "a", "title": "A", "scopes": ["x:1"]},
     {"id": "b", "title": "A", "scopes": ["x:2"]}]}, "access.1.title", "own"),
    ("access with two scopes in one", {"access": [{"id": "a", "title": "A", "scopes": ["x y"]}]},
     "access.0.scopes.0", "one word"),
    ("risky access by default", {"access": [{"id": "a", "title": "A", "scopes": ["x"], "default": True,
     "risky": "Cannot be undone"}]}, "access.0.default", "remove"),
    ("header placement without a name", {"api__placement": "header"}, "api.name", "name"),
    ("header placement with a bad name", {"api__placement": "header", "api__name": "X Key"}, "api.name",
     "letters"),
    ("revocation nowhere", {"revocation": {"style": "rfc7009"}}, "revocation.url", "revocation_endpoint"),
    # quirks
    ("quirk misspelt", {"quirks": ["dynamic_agent_clent"]}, "quirks.0",
     'did you mean "dynamic_agent_client"?'),
    ("quirk of no kind", {"quirks": ["xyz"]}, "quirks.0", "one of"),
]  # fmt: skip


def test_the_good_preset_has_no_fault() -> None:
    preset, faults = judge(GOOD, ours=True)
    assert faults == ()
    assert isinstance(preset, Provider)


@pytest.mark.parametrize(
    "resource",
    [
        "https://api.acme.example/v1?x=1",
        "urn:acme:files",
        "api://7d1c0ffe",
        "https://{tenant}.acme.example",
        "http://rs.example",
        "urn:%C3%A9",
    ],
)
def test_a_resource_is_any_absolute_uri(resource: str) -> None:
    """RFC 8707 section 2: it is a name, and nothing is sent to it."""
    assert faults_of(planted(resource=resource, inputs=[INPUT], docs="https://{tenant}.acme.example")) == ()


@pytest.mark.parametrize(("change", "key", "word"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_planted_fault_is_named_with_what_it_should_be(change: dict[str, Any], key: str, word: str) -> None:
    preset, faults = judge(planted(**change), ours=False)
    assert preset is None
    named = [fault for fault in faults if fault.key == key]
    assert named, [fault.sentence() for fault in faults]
    assert any(word in fault.should or word in fault.problem for fault in named), named


@pytest.mark.parametrize(("change", "key"), [f[1:3] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_planted_fault_is_found_in_the_file_as_well(change: dict[str, Any], key: str) -> None:
    text = _toml(planted(**change))
    assert tomllib.loads(text) == planted(**change)
    assert key in {fault.key for fault in check(text.encode(), nobody)}


def test_all_faults_are_told_at_once() -> None:
    table = planted(
        titel="x", color="red", endpoints__token_endpoint="http://acme.example/t", pkce="plain",
        policy__share=False, redirect={"port": "list"}, quirks=["xyz"], scopes=["a b"],
    )  # fmt: skip
    assert {fault.key for fault in faults_of(table)} == {
        "titel", "color", "endpoints.token_endpoint", "pkce", "policy.share_reason", "redirect.ports",
        "quirks.0",
        "scopes.0",
    }  # fmt: skip


def test_a_secret_in_the_wrong_place_is_not_repeated() -> None:
    table = planted(client={"client_secret": "hunter2-hunter2"}, api__headers={"X-Key": "sk-" + "q" * 30})
    told = " ".join(fault.sentence() for fault in faults_of(table))
    assert "hunter2" not in told
    assert "qqq" not in told


def test_loopback_may_be_http() -> None:
    for host in ("127.0.0.1:8000", "[::1]:8000", "localhost:8000"):
        base = f"http://{host}"
        endpoints = {name: f"{base}/{name}" for name in GOOD["endpoints"]}
        table = planted(endpoints=endpoints, api__base=base)
        assert faults_of(table) == ()


def test_ours_must_say_how_they_were_tested_and_what_they_rest_on() -> None:
    table = planted(tested=ABSENT)
    assert [fault.key for fault in faults_of(table, ours=True)] == ["tested"]
    assert faults_of(table) == ()
    bare = _toml(GOOD).encode()
    assert "Rests on" in check(bare, nobody, ours=True)[0].should
    assert check(b"# Acme.\n# Rests on: its manual.\n" + bare, nobody, ours=True) == ()


def test_ours_ship_no_foreign_client_id() -> None:
    table = planted(client={"client_id": "someone-elses"})
    assert [fault.key for fault in faults_of(table, ours=True)] == ["client.client_id"]
    assert faults_of(table) == ()  # a person's own preset holds their own
    assert faults_of(planted(client={"client_id": "ours"}, policy__client_id="keyfob"), ours=True) == ()


def test_a_person_may_say_that_there_is_no_who_am_i() -> None:
    table = planted(endpoints__userinfo_endpoint=ABSENT, identity={"source": "none"})
    assert faults_of(table) == ()
    assert [fault.key for fault in faults_of(table, ours=True)] == ["identity.source"]


@pytest.mark.parametrize("path", sorted(OWN.glob("*.toml")), ids=lambda path: path.stem)
def test_ours_pass(path: Any) -> None:
    assert Catalogue(OWN).check(path.read_bytes(), ours=True) == ()
    assert Catalogue(OWN).get(path.stem).id == path.stem


def test_ours_are_many_and_look_apart() -> None:
    every = Catalogue(OWN).all()
    assert len(every) >= 45
    assert len({provider.title for provider in every}) == len(every)
    assert all(contrast_with_white(provider.color) >= 3 for provider in every)


def test_no_vendors_client_id_is_shipped() -> None:
    known = (
        "app_EMoamEEZ73f0CkXaXp7hrann",
        "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
        "vortex_loopback",
        '"nma"',
    )
    for path in OWN.glob("*.toml"):
        text = path.read_text("utf-8")
        assert not any(client_id in text for client_id in known), path.name


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"\xff\xfe", "not text"),
        (b"id = ", "not TOML"),
        (b"id = 1\nid = 2", "not TOML"),
        (b"#" * 300_000, "too long"),
        (b"a = " + b"[" * 5000, "not TOML"),
        (b"extends = 7", "not a string"),
        (b'extends = "nothing"', "which does not exist"),
        (b"", "missing"),
        (b"id = 1979-05-27T07:32:00Z\ntitle = 1.5", "is"),
        # Python 3.14 itself takes no key of so many parts.
        (b".".join([b"a"] * 3000) + b" = 1", "not TOML" if sys.version_info >= (3, 14) else "not a key"),
        (b"authorize_params." + b".".join([b"a"] * 900) + b" = 1", "is a table"),
    ],
)
def test_a_file_that_is_no_preset_is_told_without_an_error(data: bytes, word: str) -> None:
    faults = check(data, nobody)
    assert faults
    assert any(word in fault.sentence() for fault in faults), [fault.sentence() for fault in faults]


def _leaf() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.text(max_size=20), st.integers(), st.booleans(), st.floats(),
        st.sampled_from(["oauth", "{x}", "https://a.example"])
    )  # fmt: skip


def _any_table() -> st.SearchStrategy[dict[str, Any]]:
    keys = st.one_of(st.sampled_from(sorted(keys_of(Provider))), st.text(max_size=8))
    return st.dictionaries(
        keys,
        st.recursive(
            _leaf(), lambda kids: st.one_of(st.lists(kids, max_size=3),
                st.dictionaries(keys, kids, max_size=4)),
            max_leaves=12,
        ),
        max_size=8,
    )  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(_any_table())
@example({"refresh_params": {"\n": "{_}"}})
def test_any_table_is_judged_without_an_error(table: dict[str, Any]) -> None:
    preset, faults = judge({**GOOD, **table}, ours=True)
    assert (preset is None) == bool(faults)
    assert all(fault.problem and fault.should and "\n" not in fault.sentence() for fault in faults)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
def test_any_bytes_are_judged_without_an_error(data: bytes) -> None:
    assert isinstance(check(data, nobody), tuple)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_an_address_that_passes_is_https_or_loopback(text: str) -> None:
    if url_fault(text) is None:
        assert text.startswith(("https://", "http://127.", "http://[::1]", "http://localhost"))


def _toml(table: dict[str, Any]) -> str:
    """As `to_toml`, with what it leaves out on purpose (empty lists) written too, for planting."""
    text = to_toml({key: value for key, value in table.items() if value not in ([], {})})
    empty = [f"{key} = []" for key, value in table.items() if value == []]
    tables = [f"[{key}]" for key, value in table.items() if value == {}]
    inner = [
        f"[{key}.{name}]" for key, value in table.items() if isinstance(value, dict)
        for name, entry in value.items() if entry == {}
    ]  # fmt: skip
    return "\n".join([*empty, text, *tables, *inner])


def test_scopes_have_a_grammar_of_their_own() -> None:
    """Todoist's scopes are data:read and the like: that is no code."""
    scopes = ["data:read", "data:read_write", "file:read", "task:add", "javascript:x"]
    table = {**GOOD, "scopes": scopes, "access": [{"id": "a", "title": "A", "scopes": ["data:delete"]}]}
    assert judge(table, ours=False)[1] == ()


def test_a_scheme_counts_as_code_only_in_an_address() -> None:
    note = {"policy__note": "The scope data:read is for reading, file: is for files."}
    assert faults_of(planted(**note)) == ()
    (fault,) = faults_of(planted(docs="https://acme.example/?next=javascript:alert"))
    assert (fault.key, "looks like code" in fault.problem) == ("docs", True)
