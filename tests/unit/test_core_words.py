"""The domain's fixed words: each has its text in every face, and text
from outside is checked before it is one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest

from keyfob.adapters.store import codec as codec
from keyfob.adapters.store.sqlite import SqliteAccountStore
from keyfob.cli import words as cli
from keyfob.cli.doctor import MARKS
from keyfob.cli.views import view_of
from keyfob.core.account import LoggedEvent, Status, status_word
from keyfob.core.errors import Fault
from keyfob.core.methods import METHOD_FACTS, METHODS
from keyfob.core.provider import Endpoints
from keyfob.core.words import CLIENT_AUTHS, SHOWN_STATUSES, FindingLevel, StatusWord, known
from keyfob.desktop.shared.method_words import METHOD_WORDS
from keyfob.desktop.window import models
from keyfob.service.contexts import stored_auth
from support.records import a_record
from support.samples import NOW, sample_views


@pytest.mark.parametrize(
    "table", [METHOD_FACTS, cli.METHOD_WORDS, METHOD_WORDS], ids=["facts", "command line", "window"]
)
def test_every_method_has_its_facts_and_words(table: Mapping[str, object]) -> None:
    assert set(table) == set(METHODS)


@pytest.mark.parametrize(
    "table",
    [cli.STATUS_WORDS, cli.STATUS_COLOURS, models.STATUS_WORDS, models.STATUS_TONES, models.STATUS_SHAPES],
    ids=["words", "colours", "window's words", "tones", "shapes"],
)
def test_every_status_has_its_words_and_colours(table: dict[str, str]) -> None:
    assert set(table) == set(SHOWN_STATUSES)


def test_the_words_of_a_stored_status_are_those_of_its_cases() -> None:
    cases: tuple[type[Any], ...] = get_args(Status)
    values = [case(**dict.fromkeys(case.__dataclass_fields__)) for case in cases]
    assert {status_word(value) for value in values} == set(get_args(StatusWord))
    rows = [json.loads(codec.dumps(replace(a_record(), status=value))) for value in values]
    assert [row["status"]["is"] for row in rows] == [status_word(value) for value in values]


def test_renewable_methods_are_those_with_a_refresh_token_or_a_secret_of_their_own() -> None:
    renewable = {method for method, facts in METHOD_FACTS.items() if facts.renewable}
    assert renewable == {"oauth", "device", "atproto", "password", "client_credentials"}


def test_an_account_has_a_key_exactly_if_its_method_asks_for_one() -> None:
    view = sample_views()[0]
    with_key = [method for method in METHODS if replace(view, method=method).holds_key]
    assert with_key == ["api_key"]


def test_the_addresses_that_a_method_needs_are_keys_of_a_preset() -> None:
    needed = {name for facts in METHOD_FACTS.values() for name in facts.endpoints}
    assert needed < {field.name for field in fields(Endpoints)}


@pytest.mark.parametrize("text", ["OAuth", "", " oauth", None, 7, ["oauth"]])
def test_nothing_else_becomes_a_word(text: object) -> None:
    assert known(METHODS, "oauth") == "oauth"
    assert known(METHODS, text) is None


def test_a_stored_client_says_how_it_proves_itself_in_words_that_this_version_knows() -> None:
    assert [stored_auth(auth, "Example") for auth in CLIENT_AUTHS] == list(CLIENT_AUTHS)
    for text in ("tls_client_auth", None, 3):
        with pytest.raises(Fault) as caught:
            stored_auth(text, "Example")
        assert caught.value.code == "store_too_new"


def test_a_line_of_history_of_another_version_is_shown_by_its_message(tmp_path: Path) -> None:
    store = SqliteAccountStore(tmp_path / "accounts.db")
    store.log(LoggedEvent(NOW, "here/alice", "key", "renewed", "Renewed", "declined"))
    with store.database.writing() as connection:
        connection.execute("UPDATE events SET kind = 'teleported', code = 'telepathy'")
    (line,) = store.events()
    assert (line.kind, line.message, line.code) == ("other", "Renewed", None)
    store.close()


def test_every_level_of_the_doctor_has_its_mark() -> None:
    assert set(MARKS) == set(get_args(FindingLevel))


@pytest.mark.parametrize("field", ["method", "status"])
def test_an_agent_with_words_of_a_newer_version_is_named_as_such(field: str) -> None:
    row: dict[str, Any] = sample_views()[0].to_json()
    assert view_of(row).to_json()[field] == row[field]
    with pytest.raises(Fault, match="newer"):
        view_of(row | {field: "telepathy"})
