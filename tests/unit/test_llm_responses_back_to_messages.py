"""Answers of Responses for a caller of Messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.formats import Json
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


def asked_again(**fields: Any) -> Json:
    """The next request, as it goes to Responses."""
    found = request({**ASKED, **fields}, "anthropic_messages", "openai_responses", "m")
    check_request(found, "openai_responses")
    return found


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
    again = asked_again(
        messages=[HELLO, {"role": "assistant", "content": found}, result], thinking={"type": "adaptive"}
    )
    assert again["input"][1] == THOUGHT
    assert [item["type"] for item in again["input"][2:]] == ["function_call", "function_call_output"]


@pytest.mark.parametrize("signature", ["", "made-by-anthropic", "keyfob.openai.!!!", "keyfob.openai.e30="])
def test_reasoning_of_another_vendor_is_left_out(signature: str) -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": signature}
    said = {"type": "text", "text": "Hi"}
    hidden = {"type": "redacted_thinking", "data": "opaque"}
    found = asked_again(
        messages=[HELLO, {"role": "assistant", "content": [hidden, thought, said]}, HELLO],
    )
    assert [item["type"] for item in found["input"]] == ["message", "message", "message"]


def test_reasoning_that_led_to_nothing_is_left_out() -> None:
    """OpenAI refuses a reasoning item without the item that follows it."""
    thought = answered(response(THOUGHT, CALL), THINKING)["content"][:1]
    found = asked_again(messages=[HELLO, {"role": "assistant", "content": thought}, HELLO])
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
