"""Chat Completions to an upstream that speaks Responses, and back."""

from __future__ import annotations

from typing import Any

import pytest

from keyfob.gateway.llm.formats import CannotTranslateError, Json
from keyfob.gateway.llm.translate import request
from support.llm_types import check_request

HELLO: Json = {"role": "user", "content": "Hello"}
WEATHER: Json = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def translated(**fields: Any) -> Json:
    """The request with these fields, judged by the SDKs' types at both ends."""
    body = {"model": "gpt", "messages": [HELLO], **fields}
    check_request(body, "openai_chat")
    found = request(body, "openai_chat", "openai_responses", "gpt-upstream")
    check_request(found, "openai_responses")
    assert found["model"] == "gpt-upstream"
    return found


def message(role: str, *content: Json) -> Json:
    return {"type": "message", "role": role, "content": list(content)}


def text(value: str) -> Json:
    return {"type": "input_text", "text": value}


def test_a_plain_request() -> None:
    assert translated() == {
        "model": "gpt-upstream",
        "input": [message("user", text("Hello"))],
        "store": False,
    }


SETTINGS: list[tuple[Json, Json]] = [
    ({"max_completion_tokens": 50}, {"max_output_tokens": 50}),
    ({"max_tokens": 50}, {"max_output_tokens": 50}),
    ({"max_tokens": 1}, {"max_output_tokens": 16}),
    ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
    ({"store": True}, {"store": True}),
    ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
    ({"verbosity": "low"}, {"text": {"verbosity": "low"}}),
    (
        {"reasoning_effort": "high"},
        {"reasoning": {"effort": "high"}, "include": ["reasoning.encrypted_content"]},
    ),
    ({"reasoning_effort": "none"}, {"reasoning": {"effort": "none"}}),
    ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
    ({"metadata": {"a": "b"}, "user": "u"}, {"metadata": {"a": "b"}, "user": "u"}),
    ({"service_tier": "flex", "prompt_cache_key": "k"}, {"service_tier": "flex", "prompt_cache_key": "k"}),
    ({"response_format": {"type": "text"}}, {}),
    ({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
    (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}},
            }
        },
        {
            "text": {
                "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": False}
            }
        },
    ),
    ({"tool_choice": "required"}, {"tool_choice": "required"}),
    # These change nothing, so they are let through.
    ({"n": 1, "logprobs": False, "presence_penalty": 0, "frequency_penalty": 0.0, "logit_bias": {}}, {}),
    ({"modalities": ["text"], "stop": None}, {}),
    # These are dropped, as the documentation says.
    ({"seed": 7}, {}),
]


@pytest.mark.parametrize(("chat", "responses"), SETTINGS)
def test_settings(chat: Json, responses: Json) -> None:
    found = translated(**chat)
    del found["model"], found["input"]
    assert found == {"store": False, **responses}


def test_the_tools_are_flat_and_say_whether_they_are_strict() -> None:
    strict = {"type": "function", "function": {"name": "now", "strict": True, "parameters": {}}}
    custom = {"type": "custom", "custom": {"name": "patch", "description": "A patch."}}
    grammar = {"syntax": "regex", "definition": "a+"}
    ruled = {"type": "custom", "custom": {"name": "ruled", "format": {"type": "grammar", "grammar": grammar}}}
    assert translated(tools=[WEATHER, strict, custom, ruled])["tools"] == [
        {"type": "function", **WEATHER["function"], "strict": False},
        {
            "type": "function",
            "name": "now",
            "parameters": {"type": "object", "properties": {}},
            "strict": True,
        },
        {"type": "custom", "name": "patch", "description": "A patch.", "format": {"type": "text"}},
        {"type": "custom", "name": "ruled", "format": {"type": "grammar", **grammar}},
    ]


CHOICES: list[tuple[Json, Json]] = [
    (
        {"type": "function", "function": {"name": "get_weather"}},
        {"type": "function", "name": "get_weather"},
    ),
    ({"type": "custom", "custom": {"name": "patch"}}, {"type": "custom", "name": "patch"}),
    (
        {
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "required",
                "tools": [{"type": "function", "function": {"name": "get_weather"}}],
            },
        },
        {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "get_weather"}],
        },
    ),
]


@pytest.mark.parametrize(("chat", "responses"), CHOICES)
def test_the_choice_of_a_tool(chat: Json, responses: Json) -> None:
    tools = [WEATHER, {"type": "custom", "custom": {"name": "patch"}}]
    assert translated(tools=tools, tool_choice=chat)["tool_choice"] == responses


def test_system_messages_at_the_start_are_the_instructions() -> None:
    found = translated(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            HELLO,
            {"role": "system", "content": "Now be long."},
        ]
    )
    assert found["instructions"] == "Be brief.\n\nBe kind."
    assert found["input"] == [message("user", text("Hello")), message("system", text("Now be long."))]


def test_instructions_alone_become_the_input() -> None:
    found = translated(messages=[{"role": "system", "content": "Write a poem."}])
    assert found["input"] == [message("developer", text("Write a poem."))]
    assert "instructions" not in found


def test_images_and_files() -> None:
    parts = [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
    ]
    assert translated(messages=[{"role": "user", "content": parts}])["input"][0]["content"] == [
        text("Look:"),
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
    ]


def test_a_turn_with_calls_and_their_results() -> None:
    """Arguments stay as they were written, byte for byte; every output follows its call by `call_id`."""
    arguments = '{"city" :  "Paris"}'
    found = translated(
        messages=[
            HELLO,
            {
                "role": "assistant",
                "content": "Let me look.",
                "refusal": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "get_weather", "arguments": arguments},
                    },
                    {"id": "call_2", "type": "custom", "custom": {"name": "patch", "input": "free text"}},
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
            {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "done"}]},
        ]
    )
    assert found["input"][1:] == [
        message("assistant", {"type": "output_text", "text": "Let me look.", "annotations": []}),
        {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": arguments},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "patch", "input": "free text"},
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": "done"},
    ]


def test_what_the_sdk_reads_into_an_answer_may_come_back() -> None:
    """A message that `client.chat.completions.parse` gave, as `model_dump` writes it."""
    text = '{"x": 1}'
    said = {"role": "assistant", "content": text, "refusal": None, "annotations": [], "audio": None}
    body = {"model": "gpt", "messages": [HELLO, {**said, "function_call": None, "parsed": {"x": 1}}, HELLO]}
    found = request(body, "openai_chat", "openai_responses", "m")
    assert found["input"][1] == message("assistant", {"type": "output_text", "text": text, "annotations": []})


REFUSED: list[tuple[Json, str]] = [
    ({"n": 2}, "n"),
    ({"logprobs": True}, "logprobs"),
    ({"top_logprobs": 3}, "top_logprobs"),
    ({"stop": ["END"]}, "stop"),
    ({"logit_bias": {"1": 5}}, "logit_bias"),
    ({"presence_penalty": 0.5}, "presence_penalty"),
    ({"frequency_penalty": 0.5}, "frequency_penalty"),
    ({"audio": {"voice": "alloy", "format": "mp3"}}, "audio"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"functions": [{"name": "f"}]}, "functions"),
    ({"function_call": "auto"}, "function_call"),
    ({"web_search_options": {}}, "web_search_options"),
    ({"something_new": 1}, "something_new"),
    ({"messages": []}, "messages"),
    ({"messages": "Hello"}, "messages"),
    ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{**HELLO, "colour": "red"}]}, "messages[0].colour"),
    (
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
        "messages[0].content[0].input_audio",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
        "messages[0].content[0].file.file_id",
    ),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ({"tool_choice": {"type": "mcp"}}, "tool_choice"),
    ({"response_format": {"type": "xml"}}, "response_format"),
]


@pytest.mark.parametrize(("fields", "named"), REFUSED)
def test_what_is_refused_is_named(fields: Json, named: str) -> None:
    body = {"model": "gpt", "messages": [HELLO], **fields}
    with pytest.raises(CannotTranslateError) as found:
        request(body, "openai_chat", "openai_responses", "m")
    assert found.value.field == named
    assert str(found.value).startswith(named)
