"""Server-sent events: any borders, any line ends, a bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.gateway.llm.events import Event, EventReader, EventTooLargeError, encoded

CASES: list[tuple[bytes, list[Event]]] = [
    (b"data: one\n\n", [Event(None, "one")]),
    (b"data: one\r\n\r\n", [Event(None, "one")]),
    (b"data: one\r\r", [Event(None, "one")]),
    (b"data: one\r\n\rdata: two\n\r\n", [Event(None, "one"), Event(None, "two")]),
    (b"\xef\xbb\xbfdata: after a mark\n\n", [Event(None, "after a mark")]),
    (b"event: ping\ndata: {}\n\n", [Event("ping", "{}")]),
    (b"event:ping\ndata:{}\n\n", [Event("ping", "{}")]),
    (b"data:  two blanks\n\n", [Event(None, " two blanks")]),
    (b"data: first\ndata\ndata: third\n\n", [Event(None, "first\n\nthird")]),
    (b": a comment\n\n:\n\ndata: x\n\n", [Event(None, "x")]),
    (b"id: 7\nretry: 5\nunknown: y\ndata: x\n\n", [Event(None, "x")]),
    (b"event: lonely\n\ndata: x\n\n", [Event(None, "x")]),
    (b"data\n\n", [Event(None, "")]),
    (b"data: gr\xc3\xbc\xc3\x9fe \xf0\x9f\x94\x91\n\n", [Event(None, "grüße 🔑")]),
    (b"data: half\xff\n\n", [Event(None, "half\ufffd")]),
    (b"data: cut off\n", []),
    (b"data: {}\n\ndata: [DONE]\n\n", [Event(None, "{}"), Event(None, "[DONE]")]),
    (b"", []),
]


@pytest.mark.parametrize(("stream", "events"), CASES)
def test_what_a_stream_says(stream: bytes, events: list[Event]) -> None:
    assert EventReader().feed(stream) == events


@pytest.mark.parametrize(("stream", "events"), CASES)
def test_byte_by_byte_it_says_the_same(stream: bytes, events: list[Event]) -> None:
    reader = EventReader()
    found = [event for byte in stream for event in reader.feed(bytes((byte,)))]
    assert found == events


@given(st.data())
def test_every_chunking_gives_the_same_events(data: st.DataObject) -> None:
    lines = st.sampled_from([b"data: a", b"data: \xe2\x82\xac", b"event: x", b":", b"", b"", b"data"])
    ends = st.sampled_from([b"\n", b"\r", b"\r\n"])
    stream = b"".join(line + end for line, end in data.draw(st.lists(st.tuples(lines, ends), max_size=12)))
    whole = EventReader().feed(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = EventReader()
    found = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)]):
        found += reader.feed(stream[begin:end])
    assert found == whole


@given(st.text(), st.none() | st.sampled_from(["ping", "message_start"]))
def test_what_is_written_is_read_back(data: str, name: str | None) -> None:
    # A line end inside the data is a line end, whichever it was.
    same = data.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")
    assert EventReader().feed(encoded(Event(name, same))) == [Event(name, same)]


def test_an_event_without_an_end_has_a_bound() -> None:
    reader = EventReader(limit=1000)
    assert reader.feed(b"data: " + b"x" * 900) == []
    with pytest.raises(EventTooLargeError, match="more than 1000 bytes"):
        reader.feed(b"x" * 200)


def test_many_lines_of_one_event_have_a_bound() -> None:
    reader = EventReader(limit=1000)
    with pytest.raises(EventTooLargeError):
        reader.feed(b"data: 12345\n" * 300)


def test_many_events_together_may_exceed_the_bound() -> None:
    reader = EventReader(limit=100)
    assert len(reader.feed(b"data: 0123456789\n\n" * 100)) == 100
