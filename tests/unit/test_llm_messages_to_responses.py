"""Messages to an upstream that speaks Responses, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.formats import CannotTranslateError, Json
from keyfob.gateway.llm.translate import answer, request
from support.llm_samples import (
    BEGUN,
    CALL,
    THOUGHT,
    datas,
    ended,
    of_call,
    of_text,
    of_thought,
    output_text,
    response,
    responses_stream,
    said,
    streamed,
)
from support.llm_types import check_answer, check_request

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
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
        {"type": "text", "text": "Look."},
    ]
    assert translated(messages=[{"role": "user", "content": content}])["input"][0]["content"] == [
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
        text("plain"),
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
        {"messages": [{"role": "user", "content": [{"type": "search_result", "source": "s"}]}]},
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


def answered(body: Json, asked: Json = ASKED) -> Json:
    found = answer(body, "openai_responses", "anthropic_messages", asked)
    check_answer(found, "anthropic_messages")
    return found


def test_an_answer_comes_back() -> None:
    found = answered(response(THOUGHT, said(output_text("Let me look.")), CALL))
    assert found["id"] == "msg_123"
    assert found["content"] == [
        {"type": "text", "text": "Let me look.", "citations": None},
        {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Paris"}},
    ]
    assert found["stop_reason"] == "tool_use"
    # OpenAI's sum of the input has what a cache read and wrote in it, Anthropic's has not.
    assert found["usage"] == {
        "input_tokens": 10,
        "cache_creation_input_tokens": 2,
        "cache_read_input_tokens": 8,
        "output_tokens": 12,
        "output_tokens_details": {"thinking_tokens": 5},
    }


REASONS: list[tuple[Json, str]] = [
    (response(said(output_text("Hi"))), "end_turn"),
    (response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}), "max_tokens"),
    (response(status="incomplete", incomplete_details={"reason": "content_filter"}), "refusal"),
    (response(said({"type": "refusal", "refusal": "No."})), "refusal"),
    (response(CALL), "tool_use"),
]


@pytest.mark.parametrize(("body", "reason"), REASONS)
def test_why_it_stopped(body: Json, reason: str) -> None:
    assert answered(body)["stop_reason"] == reason


@pytest.mark.parametrize("arguments", ["[1]", "not JSON", '{"cut'])
def test_arguments_that_are_no_object_are_kept(arguments: str) -> None:
    block = answered(response({**CALL, "arguments": arguments}))["content"][0]
    assert block["input"] == {"arguments": arguments}


def test_encrypted_reasoning_makes_the_round() -> None:
    """It travels as the signature of a thinking block, which programs give back unchanged."""
    found = answered(response(THOUGHT, CALL), THINKING)["content"]
    assert found[0]["type"] == "thinking"
    assert found[0]["thinking"] == "Think."
    result = {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"}],
    }
    again = translated(
        messages=[HELLO, {"role": "assistant", "content": found}, result], thinking={"type": "adaptive"}
    )
    assert again["input"][1] == THOUGHT
    assert [item["type"] for item in again["input"][2:]] == ["function_call", "function_call_output"]


@pytest.mark.parametrize("signature", ["", "made-by-anthropic", "keyfob.openai.!!!", "keyfob.openai.e30="])
def test_reasoning_of_another_vendor_is_left_out(signature: str) -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": signature}
    said = {"type": "text", "text": "Hi"}
    hidden = {"type": "redacted_thinking", "data": "opaque"}
    found = translated(
        messages=[HELLO, {"role": "assistant", "content": [hidden, thought, said]}, HELLO],
    )
    assert [item["type"] for item in found["input"]] == ["message", "message", "message"]


def test_reasoning_that_led_to_nothing_is_left_out() -> None:
    """OpenAI refuses a reasoning item without the item that follows it."""
    thought = answered(response(THOUGHT, CALL), THINKING)["content"][:1]
    found = translated(messages=[HELLO, {"role": "assistant", "content": thought}, HELLO])
    assert [item["type"] for item in found["input"]] == ["message", "message"]


def test_long_names_of_tools_are_cut_and_restored() -> None:
    name = "mcp__a_server_with_a_very_long_name_indeed__and_a_tool_with_a_long_name_too"
    asked = {**ASKED, "tools": [{"name": name, "input_schema": SCHEMA}]}
    cut = request(asked, "anthropic_messages", "openai_responses", "m")["tools"][0]["name"]
    assert len(cut) == 64
    assert answered(response({**CALL, "name": cut}), asked)["content"][0]["name"] == name
    events = responses_stream(*BEGUN, *of_call(0, cut, "{}"), ended())
    assert datas(turned(events, asked))[1]["content_block"]["name"] == name


def turned(events: list[Event], asked: Json = ASKED) -> list[Event]:
    return streamed(events, "openai_responses", "anthropic_messages", asked)


def test_a_streamed_text() -> None:
    found = datas(turned(responses_stream(*BEGUN, *of_text(0, "Hel", "lo"), ended())))
    assert [each["type"] for each in found] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert found[0]["message"]["id"] == "msg_123"
    assert [each["delta"] for each in found[2:4]] == [
        {"type": "text_delta", "text": "Hel"},
        {"type": "text_delta", "text": "lo"},
    ]
    assert found[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    # The true counts are known only at the end.
    assert found[0]["message"]["usage"]["input_tokens"] == 0
    assert (found[-2]["usage"]["input_tokens"], found[-2]["usage"]["output_tokens"]) == (10, 12)


def test_thoughts_text_and_calls_are_blocks_one_after_another() -> None:
    events = responses_stream(
        *BEGUN, *of_thought(0, "Hm", "m."), *of_text(1, "I look."), *of_call(2, "a", '{"x"', ":1}"), ended()
    )
    found = datas(turned(events, THINKING))
    starts = [each for each in found if each["type"] == "content_block_start"]
    assert [(each["index"], each["content_block"]["type"]) for each in starts] == [
        (0, "thinking"),
        (1, "text"),
        (2, "tool_use"),
    ]
    assert starts[2]["content_block"] == {"type": "tool_use", "id": "call_2", "name": "a", "input": {}}
    kinds = [each["delta"]["type"] for each in found if each["type"] == "content_block_delta"]
    assert kinds == [
        "thinking_delta",
        "thinking_delta",
        "signature_delta",
        "text_delta",
        "input_json_delta",
        "input_json_delta",
    ]
    assert found[-2]["delta"]["stop_reason"] == "tool_use"


def test_thoughts_that_nobody_asked_for_are_left_out() -> None:
    events = responses_stream(*BEGUN, *of_thought(0, "Hmm."), *of_text(1, "Hi"), ended())
    starts = [each for each in datas(turned(events)) if each["type"] == "content_block_start"]
    assert [(each["index"], each["content_block"]["type"]) for each in starts] == [(0, "text")]


def test_an_empty_text_before_a_call_makes_no_block() -> None:
    events = responses_stream(*BEGUN, *of_text(0), *of_call(1, "a", "{}"), ended())
    starts = [each for each in datas(turned(events)) if each["type"] == "content_block_start"]
    assert [each["content_block"]["type"] for each in starts] == ["tool_use"]


def test_blocks_never_overlap_though_the_upstream_mixes_its_items() -> None:
    one, two = of_call(0, "a", '{"x"', ":1}"), of_call(1, "b", "{", "}")
    mixed = [one[0], two[0], two[1], one[1], two[2], one[2], two[3], two[4], one[3], one[4]]
    found = datas(turned(responses_stream(*BEGUN, *mixed, ended())))
    blocks = [each for each in found if each["type"].startswith("content_block")]
    assert [each["index"] for each in blocks] == sorted(each["index"] for each in blocks)
    said = ["", ""]
    for each in blocks:
        if each["type"] == "content_block_delta":
            said[each["index"]] += each["delta"]["partial_json"]
    assert said == ['{"x":1}', "{}"]


def test_an_error_in_the_middle_ends_the_stream() -> None:
    error = {"code": "server_is_overloaded", "message": "Busy."}
    failed = {"type": "response.failed", "response": {**response(status="failed"), "error": error}}
    events = [*responses_stream(*BEGUN, *of_text(0, "Hel")[:3])]
    events.append(Event("response.failed", json.dumps(failed)))
    last = turned(events)[-1]
    assert last.name == "error"
    assert datas([last]) == [{"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}}]


def test_a_stream_that_is_cut_off_never_ends_well() -> None:
    last = turned(responses_stream(*BEGUN, *of_text(0, "Hel")[:3]))[-1]
    assert last.name == "error"
    assert "before it was complete" in datas([last])[0]["error"]["message"]
