"""Chat Completions to an upstream that speaks Messages, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.formats import CannotTranslateError, Json
from keyfob.gateway.llm.messages_writing import DEFAULT_MAX_TOKENS
from keyfob.gateway.llm.translate import StreamTranslator, answer, request
from support.llm_samples import (
    datas,
    messages_stream,
    said_by_claude,
    streamed,
    text_block,
    thought_block,
    use_block,
)
from support.llm_types import check_answer, check_request

HELLO: Json = {"role": "user", "content": "Hello"}
CHAT: Json = {"model": "gpt", "messages": [HELLO]}
SCHEMA: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
DATA: Json = {"type": "base64", "media_type": "image/png", "data": "AAAA"}


def to_messages(**fields: Any) -> Json:
    body = {**CHAT, **fields}
    check_request(body, "openai_chat")
    found = request(body, "openai_chat", "anthropic_messages", "claude-upstream")
    check_request(found, "anthropic_messages")
    return found


def text(value: str) -> Json:
    return {"type": "text", "text": value}


# Requests to Messages

TO_MESSAGES: list[tuple[Json, Json]] = [
    ({}, {"max_tokens": DEFAULT_MAX_TOKENS}),
    ({"max_completion_tokens": 50}, {"max_tokens": 50}),
    ({"max_tokens": 50, "stop": "END"}, {"max_tokens": 50, "stop_sequences": ["END"]}),
    ({"max_tokens": 50, "stop": ["A", "B"]}, {"max_tokens": 50, "stop_sequences": ["A", "B"]}),
    (
        {"max_tokens": 50, "temperature": 0.5, "top_p": 0.9},
        {"max_tokens": 50, "temperature": 0.5, "top_p": 0.9},
    ),
    ({"max_tokens": 50, "stream": True}, {"max_tokens": 50, "stream": True}),
    (
        {"max_tokens": 50, "reasoning_effort": "high"},
        {"max_tokens": 50, "thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
    ),
    (
        {"max_tokens": 50, "reasoning_effort": "minimal"},
        {"max_tokens": 50, "thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
    ),
    ({"max_tokens": 50, "reasoning_effort": "none"}, {"max_tokens": 50, "thinking": {"type": "disabled"}}),
    (
        {
            "max_tokens": 50,
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
        },
        {"max_tokens": 50, "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    ),
    # These are dropped, as the documentation says.
    ({"max_tokens": 50, "user": "u", "seed": 1, "store": False, "service_tier": "flex"}, {"max_tokens": 50}),
    ({"max_tokens": 50, "verbosity": "low", "metadata": {}, "prompt_cache_key": "k"}, {"max_tokens": 50}),
]


@pytest.mark.parametrize(("chat", "messages"), TO_MESSAGES)
def test_settings_to_messages(chat: Json, messages: Json) -> None:
    found = to_messages(**chat)
    assert found.pop("model") == "claude-upstream"
    assert found.pop("messages") == [{"role": "user", "content": [text("Hello")]}]
    assert found == messages


FUNCTION: Json = {"type": "function", "function": {"name": "f", "description": "F.", "parameters": SCHEMA}}
CUSTOM: Json = {
    "type": "custom",
    "custom": {
        "name": "patch",
        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}},
    },
}


def test_tools_to_messages() -> None:
    """A tool that takes text is one whose input has one field."""
    bare = {"type": "function", "function": {"name": "g", "strict": True}}
    assert to_messages(tools=[FUNCTION, bare, CUSTOM])["tools"] == [
        {"name": "f", "description": "F.", "input_schema": SCHEMA},
        {"name": "g", "input_schema": {"type": "object", "properties": {}}, "strict": True},
        {
            "name": "patch",
            "input_schema": {
                "type": "object",
                "properties": {
                    "input": {"type": "string", "description": "Text of this lark grammar:\nstart: x"}
                },
                "required": ["input"],
                "additionalProperties": False,
            },
        },
    ]


CHOICES: list[tuple[Json, Json | None]] = [
    ({}, None),
    ({"tool_choice": "auto"}, {"type": "auto"}),
    ({"tool_choice": "required"}, {"type": "any"}),
    ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
    ({"parallel_tool_calls": True}, None),
    ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
    ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"type": "tool", "name": "f"}),
    ({"tool_choice": {"type": "custom", "custom": {"name": "patch"}}}, {"type": "tool", "name": "patch"}),
]


@pytest.mark.parametrize(("chat", "messages"), CHOICES)
def test_the_choice_of_a_tool_to_messages(chat: Json, messages: Json | None) -> None:
    assert to_messages(tools=[FUNCTION, CUSTOM], **chat).get("tool_choice") == messages


def test_allowed_tools_are_the_tools() -> None:
    allowed = {"mode": "required", "tools": [{"type": "custom", "custom": {"name": "patch"}}]}
    found = to_messages(
        tools=[FUNCTION, CUSTOM], tool_choice={"type": "allowed_tools", "allowed_tools": allowed}
    )
    assert [tool["name"] for tool in found["tools"]] == ["patch"]
    assert found["tool_choice"] == {"type": "any"}


def test_a_conversation_to_messages() -> None:
    """Neighbours of one role are one message; the results of all calls are together, and first."""
    call = {"id": "call:1", "type": "function", "function": {"name": "f", "arguments": '{"city":"Paris"}'}}
    custom = {"id": "call_2", "type": "custom", "custom": {"name": "patch", "input": "text"}}
    broken = {"id": "call_3", "type": "function", "function": {"name": "f", "arguments": "{cut"}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    found = to_messages(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "Be kind."},
            HELLO,
            {"role": "user", "content": [image, text("Look.")]},
            {"role": "assistant", "content": "", "tool_calls": [call, custom, broken]},
            {"role": "tool", "tool_call_id": "call:1", "content": "sunny"},
            {"role": "tool", "tool_call_id": "call_2", "content": "done"},
            {"role": "tool", "tool_call_id": "call_3", "content": ""},
            {"role": "user", "content": "Go on."},
            {"role": "system", "content": "Now be long."},
            HELLO,
        ]
    )
    assert found["system"] == "Be brief.\n\nBe kind.\n\nNow be long."
    first = found["messages"][1]["content"][0]["id"]
    assert first.startswith("call_1_")  # the characters that Messages takes, and still another than call_1
    assert found["messages"] == [
        {"role": "user", "content": [text("Hello"), {"type": "image", "source": DATA}, text("Look.")]},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": first, "name": "f", "input": {"city": "Paris"}},
                {"type": "tool_use", "id": "call_2", "name": "patch", "input": {"input": "text"}},
                {"type": "tool_use", "id": "call_3", "name": "f", "input": {"arguments": "{cut"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": first, "content": [text("sunny")]},
                {"type": "tool_result", "tool_use_id": "call_2", "content": [text("done")]},
                {"type": "tool_result", "tool_use_id": "call_3", "content": []},
                text("Go on."),
                text("Hello"),
            ],
        },
    ]


def test_a_system_message_alone_becomes_the_user_s() -> None:
    found = to_messages(messages=[{"role": "system", "content": "Write a poem."}])
    assert found["messages"] == [{"role": "user", "content": "Write a poem."}]
    assert "system" not in found


REFUSED_TO_MESSAGES: list[tuple[Json, str]] = [
    ({"n": 2}, "n"),
    ({"logprobs": True}, "logprobs"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AAAA"}}],
                }
            ]
        },
        "messages.image_url",
    ),
    (
        {
            "messages": [
                {"role": "user", "content": [{"type": "file", "file": {"file_data": "data:a/b;base64,AA"}}]}
            ]
        },
        "messages.file",
    ),
]


@pytest.mark.parametrize(("fields", "named"), REFUSED_TO_MESSAGES)
def test_what_is_refused_to_messages_is_named(fields: Json, named: str) -> None:
    with pytest.raises(CannotTranslateError) as found:
        request({**CHAT, **fields}, "openai_chat", "anthropic_messages", "m")
    assert found.value.field == named
    assert str(found.value).startswith(named)


# Answers of Messages


def chat_answer(body: Json, **fields: Any) -> Json:
    found = answer(body, "anthropic_messages", "openai_chat", {**CHAT, **fields}, created=1700000000)
    check_answer(found, "openai_chat")
    return found


def test_an_answer_of_messages() -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "Paris"}}
    found = chat_answer(said_by_claude(text("Let me "), text("look."), use, reason="tool_use"))
    assert (found["id"], found["created"], found["model"]) == ("chatcmpl-123", 1700000000, "claude-upstream")
    choice = found["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "Let me look."
    (call,) = choice["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}
    usage = found["usage"]
    # Anthropic counts the input without what a cache read and wrote, OpenAI with it.
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (20, 12, 32)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 8
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 5


FINISHES = [
    ("end_turn", "stop"),
    ("stop_sequence", "stop"),
    ("max_tokens", "length"),
    ("model_context_window_exceeded", "length"),
    ("refusal", "content_filter"),
    ("pause_turn", "stop"),
]


@pytest.mark.parametrize(("reason", "finish"), FINISHES)
def test_why_messages_stopped(reason: str, finish: str) -> None:
    assert chat_answer(said_by_claude(text("Hi"), reason=reason))["choices"][0]["finish_reason"] == finish
    events = streamed(messages_stream(text_block("Hi"), reason=reason), *FROM_MESSAGES)
    assert datas(events)[-1]["choices"][0]["finish_reason"] == finish


def test_thoughts_with_their_proof_make_the_round() -> None:
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "proof"},
        {"type": "redacted_thinking", "data": "opaque"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
    ]
    message = chat_answer(said_by_claude(*blocks, reason="tool_use"))["choices"][0]["message"]
    assert message["reasoning_content"] == "Hm."
    result = {"role": "tool", "tool_call_id": "toolu_1", "content": "x"}
    again = request({**CHAT, "messages": [HELLO, message, result]}, "openai_chat", "anthropic_messages", "m")
    check_request(again, "anthropic_messages")
    assert again["messages"][1]["content"] == blocks


def test_thoughts_end_with_later_instructions() -> None:
    """Anthropic ties thoughts to the instructions, and refuses them after a change."""
    thought = {"type": "reasoning.text", "text": "Hm.", "signature": "s", "format": "anthropic-claude-v1"}
    said = {"role": "assistant", "content": "Hi", "reasoning_details": [thought]}
    later = {"role": "system", "content": "Be brief."}
    for messages, kinds in (
        ([HELLO, said, HELLO], ["thinking", "text"]),
        ([HELLO, said, later, HELLO], ["text"]),
    ):
        found = request({**CHAT, "messages": messages}, "openai_chat", "anthropic_messages", "m")
        assert [block["type"] for block in found["messages"][1]["content"]] == kinds


def test_the_text_of_a_free_tool_comes_back_as_text() -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "patch", "input": {"input": "a\nb"}}
    message = chat_answer(said_by_claude(use, reason="tool_use"), tools=[CUSTOM])["choices"][0]["message"]
    expected = {"id": "toolu_1", "type": "custom", "custom": {"name": "patch", "input": "a\nb"}}
    assert message["tool_calls"] == [expected]
    stream = messages_stream(use_block("patch", '{"inp', 'ut": "a\\nb"}'), reason="tool_use")
    # The SDK's types know no such call in a chunk; it has the shape of the whole one.
    translator = StreamTranslator("anthropic_messages", "openai_chat", {**CHAT, "tools": [CUSTOM]})
    found = [each for event in stream for each in translator.feed(event)]
    calls = [each["tool_calls"][0]["custom"] for each in deltas(found) if "tool_calls" in each]
    assert calls == [{"name": "patch", "input": ""}, {"input": "a\nb"}]


FROM_MESSAGES = ("anthropic_messages", "openai_chat", CHAT)


def deltas(events: list[Event]) -> list[Json]:
    return [each["choices"][0]["delta"] for each in datas(events) if each["choices"]]


def test_a_stream_of_messages() -> None:
    stream = messages_stream(
        thought_block("Hm", "m."),
        text_block("I ", "look."),
        use_block("f", "", '{"x"', ":1}"),
        reason="tool_use",
    )
    asked = {**CHAT, "stream_options": {"include_usage": True}}
    found = streamed(stream, "anthropic_messages", "openai_chat", asked)
    assert deltas(found) == [
        {"role": "assistant", "content": "", "refusal": None},
        {"reasoning_content": "Hm"},
        {"reasoning_content": "m."},
        {
            "reasoning_details": [
                {
                    "type": "reasoning.text",
                    "text": "Hmm.",
                    "signature": "proof",
                    "id": None,
                    "format": "anthropic-claude-v1",
                    "index": 0,
                }
            ]
        },
        {"content": "I "},
        {"content": "look."},
        {
            "tool_calls": [
                {"index": 0, "id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {},
    ]
    assert datas(found)[-1]["usage"]["prompt_tokens"] == 20
    assert found[-1] == Event(None, "[DONE]")


def test_a_call_without_arguments_has_an_object() -> None:
    found = deltas(streamed(messages_stream(use_block("f"), reason="tool_use"), *FROM_MESSAGES))
    assert [each["tool_calls"][0]["function"]["arguments"] for each in found if "tool_calls" in each] == [
        "",
        "{}",
    ]


def test_an_error_in_a_stream_of_messages() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}}
    stream = [*messages_stream(text_block("Hi"))[:4], Event("error", json.dumps(error))]
    last = streamed(stream, *FROM_MESSAGES)[-1]
    assert datas([last])[0]["error"] == {
        "message": "Busy.",
        "type": "server_error",
        "param": None,
        "code": None,
    }
