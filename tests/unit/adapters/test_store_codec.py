"""The store's codec: what goes in comes out, and nothing else does."""

from __future__ import annotations

import gc
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyfob.adapters.store import codec as codec
from keyfob.core.account import ErrorNote, Intent, PendingRevocation, Record
from keyfob.core.error_codes import Advice
from keyfob.core.secret import Secret
from support.records import (
    AT,
    a_record,
    a_revocation,
    an_intent,
    intents,
    records,
    revocations,
)


@settings(max_examples=60, deadline=None)
@given(records)
def test_a_record_survives_the_way_there_and_back(record: Record) -> None:
    text = codec.dumps(record)
    assert codec.load_record(text) == record
    assert "\n" not in text


@settings(max_examples=40, deadline=None)
@given(intents)
def test_an_intent_survives(intent: Intent) -> None:
    assert codec.load_intent(codec.dumps(intent)) == intent


@settings(max_examples=40, deadline=None)
@given(revocations)
def test_a_revocation_survives(pending: PendingRevocation) -> None:
    assert codec.load_revocation(codec.dumps(pending)) == pending


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(st.data(), json_values)
def test_a_record_with_any_one_value_changed_is_read_as_such_or_refused(
    data: st.DataObject, value: object
) -> None:
    body = json.loads(codec.dumps(a_record()))
    place = data.draw(st.sampled_from([body, body["account"], body["account"]["pin"], body["status"]]))
    name = data.draw(st.sampled_from(sorted(place)))
    place[name] = value
    try:
        record = codec.load_record(json.dumps(body))
    except codec.UnreadableError:
        return
    assert codec.load_record(codec.dumps(record)) == record


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(codec.UnreadableError):
        codec.load_intent(text)


def test_a_row_of_an_older_version_is_read_with_its_retired_fields_left_out() -> None:
    body = json.loads(codec.dumps(a_record()))
    del body["asked_until"]
    assert codec.load_record(json.dumps({**body, "retry_asked": True})) == a_record()
    with pytest.raises(codec.UnreadableError):
        codec.load_record(json.dumps({**body, "retry_askes": True}))


def changed(**values: object) -> str:
    return json.dumps({**json.loads(codec.dumps(a_record())), **values})


@pytest.mark.parametrize(
    "text",
    [
        changed(epoch=True),
        changed(epoch="1"),
        changed(epoch=1.0),
        changed(renewable=1),
        changed(scopes="openid"),
        changed(scopes=[1]),
        changed(expires_at="2026-11-20T18:00:00"),
        changed(expires_at=1_700_000_000),
        changed(status={"is": "renewing"}),
        changed(status={"is": ["connected"]}),
        changed(status={"is": "stale"}),
        changed(status={"is": "connected", "since": "2026-11-20T18:00:00+00:00"}),
        changed(status="connected"),
        changed(account=None),
        changed(surprise=1),
        "[" * 100_000,
    ],
)
def test_what_is_not_exactly_a_record_is_refused(text: str) -> None:
    with pytest.raises(codec.UnreadableError):
        codec.load_record(text)


def test_a_missing_field_takes_its_default_where_it_has_one() -> None:
    body = json.loads(codec.dumps(replace(a_record(), failures=3)))
    del body["failures"]
    assert codec.load_record(json.dumps(body)) == a_record()
    del body["status"]
    with pytest.raises(codec.UnreadableError, match=r"Record\.status is missing"):
        codec.load_record(json.dumps(body))


def test_what_was_read_never_changes() -> None:
    pin = replace(a_record().account.pin, inputs={"instance": "x.test"})
    account = replace(a_record().account, pin=pin)
    record = codec.load_record(codec.dumps(replace(a_record(), account=account)))
    with pytest.raises(TypeError):
        record.account.pin.inputs["instance"] = "evil.test"  # type: ignore[index]


@pytest.mark.parametrize(
    "value",
    [
        replace(an_intent(), refresh_hash=Secret("s")),  # type: ignore[arg-type]
        replace(a_revocation(), tries=1.5),  # type: ignore[arg-type]
        replace(a_record(), scopes=["a"]),  # type: ignore[arg-type]
        replace(
            a_record(),
            account=replace(a_record().account, pin=replace(a_record().account.pin, inputs={1: "a"})),
        ),  # type: ignore[dict-item]
    ],
)
def test_values_of_other_kinds_are_never_stored(value: Record) -> None:
    with pytest.raises(TypeError):
        codec.dumps(value)


def test_a_naive_time_is_never_stored() -> None:
    with pytest.raises(ValueError, match="zone"):
        codec.dumps(replace(an_intent(), at=AT.replace(tzinfo=None)))


def test_records_that_were_read_do_not_fill_the_memory() -> None:
    """An account's text changes with each renewal: what it was before is not kept."""
    account = a_record().account
    texts = [codec.dumps(replace(a_record(), account=account, generation=number)) for number in range(500)]

    def held() -> int:
        gc.collect()
        return sum(isinstance(each, Record) and each.account == account for each in gc.get_objects())

    before = held()
    for text in texts:
        codec.load_record(text)
    assert held() - before <= 2
    assert codec.load_record(texts[-1]) is codec.load_record(texts[-1])


@pytest.mark.parametrize(
    ("code", "advice", "read"),
    [
        ("grant_ended", "retry", ErrorNote("grant_ended", "It ended", Advice.SIGN_IN_AGAIN, AT)),
        ("telepathy", "sign_in_again", ErrorNote("grant_ended", "It ended", Advice.SIGN_IN_AGAIN, AT)),
        ("telepathy", "pray", ErrorNote("internal", "It ended", Advice.REPORT, AT)),
    ],
)
def test_an_error_of_another_version_takes_no_account_away(code: str, advice: str, read: ErrorNote) -> None:
    note = ErrorNote("declined", "It ended", Advice.RETRY, AT)
    body = json.loads(codec.dumps(replace(a_record(), last_error=note)))
    body["last_error"] |= {"code": code, "advice": advice}
    assert codec.load_record(json.dumps(body)).last_error == read


@pytest.mark.parametrize("field", ["method", "client_auth"])
def test_a_word_of_a_newer_version_is_too_new_and_one_that_is_no_text_is_unreadable(field: str) -> None:
    body = json.loads(codec.dumps(a_record()))
    place = body["account"] if field in body["account"] else body["account"]["pin"]
    assert field in place
    place[field] = "telepathy"
    with pytest.raises(codec.TooNewError):
        codec.load_record(json.dumps(body))
    place[field] = 7
    with pytest.raises(codec.UnreadableError) as caught:
        codec.load_record(json.dumps(body))
    assert not isinstance(caught.value, codec.TooNewError)
