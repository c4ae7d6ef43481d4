"""What holds for every request and every answer."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.gateway.llm.events import Event, EventReader, encoded
from keyfob.gateway.llm.fields import CARRIED, Pair
from keyfob.gateway.llm.formats import CannotTranslateError, Format, Json
from keyfob.gateway.llm.gather import gather
from keyfob.gateway.llm.translate import answer, request
from support.llm_samples import (
    BEGUN,
    chat_stream,
    completion,
    ended,
    fragment,
    messages_stream,
    of_call,
    of_text,
    of_thought,
    response,
    responses_stream,
    said_by_claude,
    streamed,
    text_block,
    thought_block,
    use_block,
)
from support.llm_types import check_answer, check_request

# Any text but lone halves of surrogates, which JSON in UTF-8 cannot have.
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
names = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
arguments = st.dictionaries(words, values, max_size=3)
tools = st.builds(
    lambda name, about, keys: {
        "type": "function",
        "function": {
            "name": name,
            "description": about,
            "parameters": {"type": "object", "properties": {key: {"type": "string"} for key in keys}},
        },
    },
    names,
    words,
    st.lists(words, max_size=2),
)

# Requests


@st.composite
def conversations(draw: st.DrawFn) -> list[Json]:
    """Messages of a chat, in the order that the vendors demand."""
    system = draw(st.lists(words, max_size=2))
    messages: list[Json] = [{"role": "system", "content": each} for each in system]
    numbers = count()
    for _ in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": draw(words)})
        text = draw(st.none() | words)
        inputs = draw(st.lists(st.tuples(names, arguments), min_size=0 if text else 1, max_size=3))
        calls = [
            {
                "id": f"call_{next(numbers)}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(each)},
            }
            for name, each in inputs
        ]
        messages.append({"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})})
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": draw(words)} for call in calls]
    return [*messages, {"role": "user", "content": draw(words)}]


def meaning(body: Json) -> Json:
    """A chat request without what may be written in more than one way."""
    said: list[Any] = []
    for message in body["messages"]:
        content = message.get("content")
        texts = [content] if isinstance(content, str) else [part["text"] for part in content or ()]
        calls = [
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls") or ()
        ]
        said.append((message["role"], message.get("tool_call_id"), texts, calls))
    # Instructions become one message, and so do neighbours of one role.
    merged: list[Any] = []
    for role, result, texts, calls in said:
        if merged and merged[-1][0] == role != "tool":
            merged[-1][2].extend(texts)
        else:
            merged.append((role, result, list(texts), calls))
    joined = [(role, result, "\n\n".join(texts), calls) for role, result, texts, calls in merged]
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    settings = {
        key: body.get(key) for key in ("tools", "tool_choice", "temperature", "stop", "response_format")
    }
    return {"messages": joined, "limit": limit, **settings}


@given(
    conversations(),
    st.lists(tools, min_size=1, max_size=3, unique_by=lambda tool: tool["function"]["name"]),
    st.sampled_from(["auto", "none", "required", "named"]),
    st.integers(1, 10_000),
    st.lists(words, min_size=1, max_size=4),
)
def test_chat_to_messages_and_back_keeps_the_meaning(
    messages: list[Json], tools: list[Json], choice: str, limit: int, stop: list[str]
) -> None:
    named = {"type": "function", "function": {"name": tools[0]["function"]["name"]}}
    body: Json = {
        "model": "m",
        "messages": messages,
        "tools": tools,
        "tool_choice": named if choice == "named" else choice,
        "max_completion_tokens": limit,
        "temperature": 0.5,
        "stop": stop,
    }
    there = request(body, "openai_chat", "anthropic_messages", "m")
    check_request(there, "anthropic_messages")
    back = request(there, "anthropic_messages", "openai_chat", "m")
    check_request(back, "openai_chat")
    assert meaning(back) == meaning(body)


@given(conversations())
def test_every_output_follows_its_call(messages: list[Json]) -> None:
    """By way of Messages as well as directly, Responses gets each call once, and after it its output."""
    body = {"model": "m", "messages": messages}
    direct = request(body, "openai_chat", "openai_responses", "m")
    check_request(direct, "openai_responses")
    around = request(
        request(body, "openai_chat", "anthropic_messages", "m"),
        "anthropic_messages",
        "openai_responses",
        "m",
    )
    for found in (direct, around):
        calls = [item["call_id"] for item in found["input"] if item["type"] == "function_call"]
        outputs = [item["call_id"] for item in found["input"] if item["type"] == "function_call_output"]
        assert calls == outputs
        assert len(set(calls)) == len(calls)
    assert direct.get("instructions") == around.get("instructions")


@given(arguments)
def test_arguments_reach_responses_byte_for_byte(given_arguments: Json) -> None:
    text = json.dumps(given_arguments, indent=1)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": text}}
    messages = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ]
    found = request({"model": "m", "messages": messages}, "openai_chat", "openai_responses", "m")
    assert found["input"][0]["arguments"] == text


@given(
    st.sampled_from(sorted(CARRIED)),
    st.dictionaries(st.sampled_from(sorted(set().union(*CARRIED.values()))), values, max_size=3),
    values,
    values,
)
def test_any_body_is_translated_or_refused(pair: Pair, fields: Json, inner: Any, other: Any) -> None:
    """Nothing but a refusal comes of a request in which any value stands at any place."""
    part = {"type": "text", "text": inner, "source": other, "image_url": other, "content": other}
    placed = {
        "messages": [
            {"role": "user", "content": [part, {**part, "type": other}, inner]},
            {"role": "assistant", "content": inner, "tool_calls": other, "reasoning_details": inner},
            {"role": "user", "content": inner},
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": inner}, "input_schema": inner}
        ],
    }
    for body in ({**placed, **fields}, {**fields, "messages": inner}, {**placed, "tools": other, **fields}):
        with suppress(CannotTranslateError):
            request({"model": "m", **body}, *pair, "m")


def test_a_schema_of_great_depth_is_refused() -> None:
    schema: Json = {}
    for _ in range(100_000):
        schema = {"not": schema}
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
    }
    with pytest.raises(CannotTranslateError, match="body must be a request of Messages"):
        request(body, "anthropic_messages", "openai_responses", "m")


# Answers. Each strategy gives one answer whole and as a stream.

deltas = st.lists(words, min_size=1, max_size=3)
call_deltas = st.tuples(names, arguments, st.integers(0, 10))


def cut(text: str, at: int) -> list[str]:
    return [piece for piece in (text[:at], text[at:]) if piece]


@st.composite
def of_responses(draw: st.DrawFn) -> tuple[Json, list[Event]]:
    events: list[Json] = []
    items = count()
    if draw(st.booleans()):
        events += of_thought(next(items), *draw(st.lists(words, max_size=3)))
    for each in draw(st.lists(deltas, max_size=2)):
        events += of_text(next(items), *each)
    for name, each, at in draw(st.lists(call_deltas, max_size=3)):
        events += of_call(next(items), name, *cut(json.dumps(each), at))
    output = [each["item"] for each in events if each["type"] == "response.output_item.done"]
    return response(*output), responses_stream(*BEGUN, *events, ended(*output))


@st.composite
def of_messages(draw: st.DrawFn) -> tuple[Json, list[Event]]:
    blocks = [thought_block(*each) for each in draw(st.lists(deltas, max_size=1))]
    blocks += [text_block(*each) for each in draw(st.lists(deltas, max_size=2))]
    calls = draw(st.lists(call_deltas, max_size=3))
    uses = [
        use_block(name, *cut(json.dumps(each), at), call_id=f"toolu_{number}")
        for number, (name, each, at) in enumerate(calls)
    ]
    content: list[Json] = []
    for block, said in blocks:
        if block["type"] == "thinking":
            thought = "".join(each.get("thinking", "") for each in said)
            content.append({**block, "thinking": thought, "signature": "proof"})
        else:
            content.append({**block, "text": "".join(each["text"] for each in said)})
    content += [{**use[0], "input": each} for use, (_, each, _) in zip(uses, calls)]
    reason = "tool_use" if calls else "end_turn"
    return said_by_claude(*content, reason=reason), messages_stream(*blocks, *uses, reason=reason)


@st.composite
def of_chat(draw: st.DrawFn) -> tuple[Json, list[Event]]:
    thought, text = draw(st.none() | words), draw(st.lists(words, max_size=3))
    calls = draw(st.lists(call_deltas, max_size=3))
    said: list[Json] = [{"reasoning_content": thought}] if thought else []
    said += [{"content": each} for each in text]
    fragments: list[list[Json]] = []
    for number, (name, each, at) in enumerate(calls):
        rest = [fragment(number, piece) for piece in cut(json.dumps(each), at)]
        fragments.append([fragment(number, "", id=f"call_{number}", name=name), *rest])
    # Several calls may come mixed, each with its own fragments in order.
    while fragments:
        turn = draw(st.integers(0, len(fragments) - 1))
        said.append(fragments[turn].pop(0))
        fragments = [each for each in fragments if each]
    order = [each["tool_calls"][0] for each in said if "tool_calls" in each]
    opened = [each["index"] for each in order if "id" in each]
    whole_calls = [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": calls[number][0], "arguments": json.dumps(calls[number][1])},
        }
        for number in opened
    ]
    message: Json = {"content": "".join(text) or None}
    if whole_calls:
        message["tool_calls"] = whole_calls
    if thought:
        message["reasoning_content"] = thought
    finish = "tool_calls" if calls else "stop"
    return completion(message, finish), chat_stream(*said, finish=finish)


ASKED: dict[Format, Json] = {
    "openai_chat": {"model": "m", "stream_options": {"include_usage": True}},
    "anthropic_messages": {"model": "m", "thinking": {"type": "adaptive"}},
}


def same(source: Format, target: Format, given_answer: tuple[Json, list[Event]]) -> None:
    """The stream says what the whole answer says."""
    whole, stream = given_answer
    expected = answer(whole, source, target, ASKED[target])
    check_answer(expected, target)
    found = gather(streamed(stream, source, target, ASKED[target]), target)
    if target == "openai_chat":
        for each in (expected, found):
            # A stream has it as a field of its own that nobody gathers.
            each["choices"][0]["message"].pop("reasoning_details", None)
    assert found == expected


@given(of_responses())
def test_responses_for_chat(given_answer: tuple[Json, list[Event]]) -> None:
    same("openai_responses", "openai_chat", given_answer)


@given(of_responses())
def test_responses_for_messages(given_answer: tuple[Json, list[Event]]) -> None:
    same("openai_responses", "anthropic_messages", given_answer)


@given(of_messages())
def test_messages_for_chat(given_answer: tuple[Json, list[Event]]) -> None:
    same("anthropic_messages", "openai_chat", given_answer)


@given(of_chat())
def test_chat_for_messages(given_answer: tuple[Json, list[Event]]) -> None:
    same("openai_chat", "anthropic_messages", given_answer)


@given(of_responses() | of_messages() | of_chat(), st.lists(st.integers(0, 4000), max_size=10))
def test_the_borders_of_chunks_change_nothing(given_answer: tuple[Json, list[Event]], at: list[int]) -> None:
    events = given_answer[1]
    stream = b"".join(map(encoded, events))
    reader = EventReader()
    found: list[Event] = []
    cuts = sorted(min(each, len(stream)) for each in at)
    for begin, end in zip([0, *cuts], [*cuts, len(stream)]):
        found += reader.feed(stream[begin:end])
    assert found == events
