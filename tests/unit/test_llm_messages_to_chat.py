"""Messages to an upstream that speaks Chat Completions, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.formats import CannotTranslateError, Json
from keyfob.gateway.llm.gather import gather
from keyfob.gateway.llm.translate import answer, request
from support.llm_samples import (
    chat_stream,
    completion,
    datas,
    fragment,
    streamed,
)
from support.llm_types import check_answer, check_request

HELLO: Json = {"role": "user", "content": "Hello"}
MESSAGES: Json = {"model": "claude", "max_tokens": 100, "messages": [HELLO]}
SCHEMA: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
DATA: Json = {"type": "base64", "media_type": "image/png", "data": "AAAA"}


FUNCTION: Json = {"type": "function", "function": {"name": "f", "description": "F.", "parameters": SCHEMA}}


def to_chat(**fields: Any) -> Json:
    body = {**MESSAGES, **fields}
    check_request(body, "anthropic_messages")
    found = request(body, "anthropic_messages", "openai_chat", "upstream")
    check_request(found, "openai_chat")
    return found


def text(value: str) -> Json:
    return {"type": "text", "text": value}


# Requests to Chat Completions

TO_CHAT: list[tuple[Json, Json]] = [
    ({}, {}),
    ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
    ({"stop_sequences": ["A", "B"]}, {"stop": ["A", "B"]}),
    ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
    ({"thinking": {"type": "enabled", "budget_tokens": 5000}}, {"reasoning_effort": "high"}),
    ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, {"reasoning_effort": "low"}),
    (
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA, "strict": False},
            }
        },
    ),
    ({"metadata": {"user_id": "u"}, "service_tier": "auto"}, {}),
]


@pytest.mark.parametrize(("messages", "chat"), TO_CHAT)
def test_settings_to_chat(messages: Json, chat: Json) -> None:
    found = to_chat(**messages)
    assert found.pop("model") == "upstream"
    assert found.pop("messages") == [HELLO]
    assert found.pop("max_tokens") == 100
    assert found == chat


LIMITS = [
    ("gpt-5.4", "max_completion_tokens"),
    ("openai/o3", "max_completion_tokens"),
    ("gpt-oss-120b", "max_tokens"),
    ("mistral-large", "max_tokens"),
]


@pytest.mark.parametrize(("model", "field"), LIMITS)
def test_the_limit_has_the_field_that_the_model_takes(model: str, field: str) -> None:
    found = request(MESSAGES, "anthropic_messages", "openai_chat", model)
    assert found[field] == 100
    assert len({"max_tokens", "max_completion_tokens"} & set(found)) == 1


def test_later_instructions_join_the_first() -> None:
    """Many servers of Chat Completions refuse a system message that is not the first."""
    found = to_chat(system="Be brief.", messages=[HELLO, {"role": "system", "content": "Be kind."}])
    assert found["messages"] == [{"role": "system", "content": "Be brief.\n\nBe kind."}, HELLO]


def test_tools_and_their_choice_to_chat() -> None:
    found = to_chat(
        tools=[
            {"name": "f", "description": "F.", "input_schema": SCHEMA},
            {"name": "g", "input_schema": SCHEMA, "strict": True},
        ],
        tool_choice={"type": "tool", "name": "g", "disable_parallel_tool_use": True},
    )
    assert found["tools"] == [
        FUNCTION,
        {"type": "function", "function": {"name": "g", "parameters": SCHEMA, "strict": True}},
    ]
    assert found["tool_choice"] == {"type": "function", "function": {"name": "g"}}
    assert found["parallel_tool_calls"] is False


def test_a_conversation_to_chat() -> None:
    """Each result is a message right after the calls; its image goes into the user's next message."""
    found = to_chat(
        system=[text("Be brief."), text("Be kind.")],
        messages=[
            HELLO,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                    text("I "),
                    text("look."),
                    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "Paris"}},
                    {"type": "tool_use", "id": "toolu_2", "name": "f", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "content": [{"type": "image", "source": DATA}],
                    },
                    {"type": "tool_result", "tool_use_id": "toolu_2", "content": "broke", "is_error": True},
                    text("Go on."),
                ],
            },
        ],
    )
    call = {"type": "function", "function": {"name": "f", "arguments": '{"city":"Paris"}'}}
    empty = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert found["messages"] == [
        {"role": "system", "content": "Be brief.\n\nBe kind."},
        HELLO,
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [{"id": "toolu_1", **call}, {"id": "toolu_2", **empty}],
        },
        {"role": "tool", "tool_call_id": "toolu_1", "content": "The result is in the next message."},
        {"role": "tool", "tool_call_id": "toolu_2", "content": "Error: broke"},
        {
            "role": "user",
            "content": [
                text("From the result of toolu_1:"),
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                text("Go on."),
            ],
        },
    ]


REFUSED_TO_CHAT: list[tuple[Json, str]] = [
    ({"stop_sequences": ["1", "2", "3", "4", "5"]}, "stop_sequences"),
    ({"top_k": 5}, "top_k"),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "document", "source": {"type": "url", "url": "https://example.com/a"}}
                    ],
                }
            ]
        },
        "messages.source.url",
    ),
]


@pytest.mark.parametrize(("fields", "named"), REFUSED_TO_CHAT)
def test_what_is_refused_to_chat_is_named(fields: Json, named: str) -> None:
    with pytest.raises(CannotTranslateError) as found:
        request({**MESSAGES, **fields}, "anthropic_messages", "openai_chat", "m")
    assert found.value.field == named
    assert str(found.value).startswith(named)


# Answers of Chat Completions

FROM_CHAT = ("openai_chat", "anthropic_messages", MESSAGES)
TOOL_CALL: Json = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}


def messages_answer(body: Json, **fields: Any) -> Json:
    found = answer(body, "openai_chat", "anthropic_messages", {**MESSAGES, **fields})
    check_answer(found, "anthropic_messages")
    return found


def test_an_answer_of_chat() -> None:
    found = messages_answer(completion({"content": "I look.", "tool_calls": [TOOL_CALL]}, "tool_calls"))
    assert (found["id"], found["model"]) == ("msg_123", "gpt-upstream")
    assert found["content"] == [
        {**text("I look."), "citations": None},
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {"x": 1}},
    ]
    assert found["stop_reason"] == "tool_use"
    assert (found["usage"]["input_tokens"], found["usage"]["output_tokens"]) == (10, 12)


ENDS: list[tuple[Json, str, str]] = [
    ({"content": "Hi"}, "stop", "end_turn"),
    ({"content": "Hi"}, "length", "max_tokens"),
    ({"content": None}, "content_filter", "refusal"),
    ({"refusal": "No."}, "stop", "refusal"),
    # Some vendors say `stop` after calls, and some `tool_calls` without one.
    ({"tool_calls": [TOOL_CALL]}, "stop", "tool_use"),
    ({"content": "Hi"}, "tool_calls", "end_turn"),
]


@pytest.mark.parametrize(("message", "finish", "reason"), ENDS)
def test_why_chat_stopped(message: Json, finish: str, reason: str) -> None:
    assert messages_answer(completion(message, finish))["stop_reason"] == reason


def blocks(events: list[Event]) -> list[Json]:
    """What a Messages client makes of the stream."""
    return list(gather(events, "anthropic_messages")["content"])


def use(call_id: str, name: str, **fields: Any) -> Json:
    return {"type": "tool_use", "id": call_id, "name": name, "input": fields}


ODD: list[tuple[list[Json], list[Json]]] = [
    # As OpenAI streams it.
    (
        [{"content": "I "}, {"content": "look."}, fragment(0, "", id="c1", name="f"), fragment(0, '{"x":1}')],
        [{**text("I look."), "citations": None}, use("c1", "f", x=1)],
    ),
    # Two calls whose fragments mix.
    (
        [
            fragment(0, "", id="c1", name="f"),
            fragment(1, "{", id="c2", name="g"),
            fragment(0, '{"x":1}'),
            fragment(1, "}"),
        ],
        [use("c1", "f", x=1), use("c2", "g")],
    ),
    # Text and a call in one chunk, all arguments at once.
    (
        [{"content": "I look.", **fragment(0, '{"x":1}', id="c1", name="f")}],
        [{**text("I look."), "citations": None}, use("c1", "f", x=1)],
    ),
    # An empty list of calls beside text.
    ([{"content": "Hi", "tool_calls": []}], [{**text("Hi"), "citations": None}]),
    # The index is -1, or missing; the name is repeated or empty in later fragments.
    ([fragment(-1, "{", id="c1", name="f"), fragment(-1, "}", name="f")], [use("c1", "f")]),
    (
        [
            {"tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{}"}}]},
            {"tool_calls": [{"id": "c2", "function": {"name": "g", "arguments": "{"}}]},
            {"tool_calls": [{"function": {"name": "", "arguments": "}"}}]},
        ],
        [use("c1", "f"), use("c2", "g")],
    ),
    # The name comes after the first fragment.
    ([fragment(0, "", id="c1"), fragment(0, "{}", name="f")], [use("c1", "f")]),
    # No id at all.
    ([fragment(0, "{}", name="f")], [use("call_chatcmpl-123_0", "f")]),
]


@pytest.mark.parametrize(("said", "expected"), ODD)
def test_a_stream_of_chat_in_all_its_shapes(said: list[Json], expected: list[Json]) -> None:
    stream = chat_stream(*said)
    found = streamed(stream, *FROM_CHAT)
    assert blocks(found) == expected
    calls = any(each["type"] == "tool_use" for each in expected)
    assert datas(found)[-2]["delta"]["stop_reason"] == ("tool_use" if calls else "end_turn")
    assert datas(found)[-2]["usage"]["input_tokens"] == 10


def test_thoughts_of_chat_are_thinking_for_who_asks() -> None:
    stream = chat_stream({"reasoning_content": "Hm"}, {"reasoning": "m."}, {"content": "Hi"})
    asked = {**MESSAGES, "thinking": {"type": "adaptive"}}
    found = blocks(streamed(stream, "openai_chat", "anthropic_messages", asked))
    assert [each["type"] for each in found] == ["thinking", "text"]
    assert found[0]["thinking"] == "Hmm."
    assert [each["type"] for each in blocks(streamed(stream, *FROM_CHAT))] == ["text"]


def test_the_usage_may_come_with_the_last_choice() -> None:
    stream = [*chat_stream({"content": "Hi"}, finish=None, done=False)]
    last = {
        "id": "x",
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4},
    }
    found = datas(streamed([*stream, Event(None, json.dumps(last)), Event(None, "[DONE]")], *FROM_CHAT))
    assert (found[-2]["usage"]["input_tokens"], found[-2]["usage"]["output_tokens"]) == (3, 4)


def test_a_stream_that_finished_without_done_is_whole() -> None:
    found = streamed(chat_stream({"content": "Hi"}, done=False), *FROM_CHAT)
    assert found[-1].name == "message_stop"


@pytest.mark.parametrize("done", [True, False])
def test_a_stream_without_a_finish_is_cut_off(done: bool) -> None:
    last = streamed(chat_stream({"content": "Hi"}, finish=None, done=done), *FROM_CHAT)[-1]
    assert last.name == "error"
    assert "before it was complete" in datas([last])[0]["error"]["message"]


def test_an_error_in_a_stream_of_chat() -> None:
    error = {"error": {"message": "Slow down.", "type": "requests", "code": "rate_limit_exceeded"}}
    stream = [*chat_stream({"content": "Hi"}, finish=None, done=False), Event(None, json.dumps(error))]
    last = streamed(stream, *FROM_CHAT)[-1]
    assert datas([last])[0]["error"] == {"type": "rate_limit_error", "message": "Slow down."}
