"""Messages to an upstream that speaks Responses, and back."""

from __future__ import annotations

from typing import Any

import pytest

from keyfob.gateway.llm.formats import CannotTranslateError, Json
from keyfob.gateway.llm.translate import request
from support.llm_types import check_request

HELLO: Json = {"role": "user", "content": "Hello"}
ASKED: Json = {"model": "claude", "max_tokens": 100, "messages": [HELLO]}
THINKING: Json = {**ASKED, "thinking": {"type": "adaptive", "display": "summarized"}}
SCHEMA: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def translated(**fields: Any) -> Json:
    body = {**ASKED, **fields}
    check_request(body, "anthropic_messages")
    found = request(body, "anthropic_messages", "openai_responses", "gpt-upstream")
    check_request(found, "openai_responses")
    return found


def message(role: str, *content: Json) -> Json:
    return {"type": "message", "role": role, "content": list(content)}


def text(value: str) -> Json:
    return {"type": "input_text", "text": value}


def test_a_plain_request() -> None:
    assert translated() == {
        "model": "gpt-upstream",
        "input": [message("user", text("Hello"))],
        "max_output_tokens": 100,
        "store": False,
    }


ENCRYPTED: Json = {"include": ["reasoning.encrypted_content"]}
STRICT: Json = {**SCHEMA, "additionalProperties": False}
SETTINGS: list[tuple[Json, Json]] = [
    ({"stream": True}, {"stream": True}),
    ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
    ({"system": "Be brief."}, {"instructions": "Be brief."}),
    (
        {
            "system": [
                {"type": "text", "text": "x-anthropic-billing-header: cc_version=2"},
                {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "Be kind."},
            ]
        },
        {"instructions": "Be brief.\n\nBe kind."},
    ),
    ({"thinking": {"type": "disabled"}}, {}),
    ({"thinking": {"type": "adaptive"}}, ENCRYPTED),
    ({"output_config": {"effort": "max"}}, {"reasoning": {"effort": "max"}}),
    (
        {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "xhigh"}},
        {"reasoning": {"effort": "xhigh"}, **ENCRYPTED},
    ),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"reasoning": {"effort": "low", "summary": "auto"}, **ENCRYPTED},
    ),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 2048, "display": "omitted"}},
        {"reasoning": {"effort": "medium"}, **ENCRYPTED},
    ),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 9000}, "output_config": {"effort": "low"}},
        {"reasoning": {"effort": "low", "summary": "auto"}, **ENCRYPTED},
    ),
    (
        {"output_config": {"format": {"type": "json_schema", "schema": STRICT}}},
        {"text": {"format": {"type": "json_schema", "name": "answer", "schema": STRICT, "strict": True}}},
    ),
    (
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": False}}},
    ),
    ({"tool_choice": {"type": "auto"}}, {"tool_choice": "auto"}),
    ({"tool_choice": {"type": "any"}}, {"tool_choice": "required"}),
    ({"tool_choice": {"type": "none"}}, {"tool_choice": "none"}),
    (
        {"tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True}},
        {"tool_choice": {"type": "function", "name": "f"}, "parallel_tool_calls": False},
    ),
    # These are dropped, as the documentation says.
    ({"metadata": {"user_id": "u"}, "service_tier": "auto", "cache_control": {"type": "ephemeral"}}, {}),
]


@pytest.mark.parametrize(("messages", "responses"), SETTINGS)
def test_settings(messages: Json, responses: Json) -> None:
    found = translated(**messages)
    del found["model"], found["input"], found["max_output_tokens"]
    assert found == {"store": False, **responses}


def test_tools_say_whether_they_are_strict() -> None:
    tools = [
        {"name": "a", "description": "A.", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}},
        {"type": "custom", "name": "b", "input_schema": STRICT, "strict": True},
    ]
    assert translated(tools=tools)["tools"] == [
        {"type": "function", "name": "a", "description": "A.", "parameters": SCHEMA, "strict": False},
        {"type": "function", "name": "b", "parameters": STRICT, "strict": True},
    ]


def test_images_and_documents() -> None:
    content = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {
            "type": "document",
            "title": "a.pdf",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
        },
        {
            "type": "document",
            "title": "a.txt",
            "context": "A note.",
            "source": {"type": "text", "media_type": "text/plain", "data": "plain"},
        },
        {
            "type": "search_result",
            "title": "Found",
            "source": "https://example.com",
            "content": [{"type": "text", "text": "It is so."}],
        },
        {"type": "text", "text": "Look."},
    ]
    assert translated(messages=[{"role": "user", "content": content}])["input"][0]["content"] == [
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
        text("A note."),
        text("a.txt\n\nplain"),
        text("Found\nhttps://example.com\n\nIt is so."),
        text("Look."),
    ]


def test_a_turn_with_calls_and_their_results() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    found = translated(
        messages=[
            HELLO,
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Let me look."},
                    {"type": "tool_use", "id": "toolu_1", "name": "a", "input": {"city": "Zürich"}},
                    {"type": "tool_use", "id": "toolu_2", "name": "b", "input": {}},
                    {"type": "tool_use", "id": "toolu_3", "name": "c", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"},
                    {"type": "tool_result", "tool_use_id": "toolu_2", "content": "broke", "is_error": True},
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_3",
                        "content": [{"type": "text", "text": "A picture."}, image],
                    },
                    {"type": "text", "text": "Go on."},
                ],
            },
            {"role": "system", "content": [{"type": "text", "text": "The date is known."}]},
        ]
    )
    assert found["input"][1:] == [
        message("assistant", {"type": "output_text", "text": "Let me look.", "annotations": []}),
        {"type": "function_call", "call_id": "toolu_1", "name": "a", "arguments": '{"city":"Zürich"}'},
        {"type": "function_call", "call_id": "toolu_2", "name": "b", "arguments": "{}"},
        {"type": "function_call", "call_id": "toolu_3", "name": "c", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "toolu_1", "output": "sunny"},
        {"type": "function_call_output", "call_id": "toolu_2", "output": "Error: broke"},
        {
            "type": "function_call_output",
            "call_id": "toolu_3",
            "output": [
                text("A picture."),
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
            ],
        },
        message("user", text("Go on.")),
        message("developer", text("The date is known.")),
    ]


def test_what_claude_code_sends() -> None:
    """Blocks of system text, a system message among the others, and fields that only Anthropic knows."""
    body = {
        "model": "claude-opus-5-5",
        "max_tokens": 128000,
        "stream": True,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330"},
            {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Rules.", "cache_control": {"type": "ephemeral"}},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Reply OK."}]},
            {"role": "system", "content": "The working directory is empty."},
        ],
        "tools": [{"name": "Bash", "description": "Runs a command.", "input_schema": SCHEMA}],
        "thinking": {"type": "adaptive", "display": "omitted"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "metadata": {"user_id": '{"device_id":"d"}'},
    }
    found = request(body, "anthropic_messages", "openai_responses", "gpt")
    check_request(found, "openai_responses")
    assert found["instructions"] == "You are Claude Code.\n\nRules."
    assert found["reasoning"] == {"effort": "high"}
    assert [item["role"] for item in found["input"]] == ["user", "developer"]
    assert "metadata" not in found


REFUSED: list[tuple[Json, str]] = [
    ({"stop_sequences": ["END"]}, "stop_sequences"),
    ({"top_k": 5}, "top_k"),
    ({"container": "c"}, "container"),
    ({"mcp_servers": [{"type": "url"}]}, "mcp_servers"),
    ({"inference_geo": "eu"}, "inference_geo"),
    ({"something_new": 1}, "something_new"),
    ({"messages": []}, "messages"),
    ({"messages": [HELLO, {"role": "assistant", "content": "The answer is ("}]}, "messages[1]"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    (
        {"messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]}]},
        "messages[0].content[0].type",
    ),
    (
        {
            "messages": [
                {"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}
            ]
        },
        "messages[0].content[0].source.file_id",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "colour": "red"}]}]},
        "messages[0].content[0].colour",
    ),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
    ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
    ({"output_config": {"format": {"type": "xml"}}}, "output_config.format"),
    ({"output_config": {"new": 1}}, "output_config.new"),
]


@pytest.mark.parametrize(("fields", "named"), REFUSED)
def test_what_is_refused_is_named(fields: Json, named: str) -> None:
    with pytest.raises(CannotTranslateError) as found:
        request({**ASKED, **fields}, "anthropic_messages", "openai_responses", "m")
    assert found.value.field == named
    assert str(found.value).startswith(named)
