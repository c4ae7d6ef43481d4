"""Answers of Responses for a caller of Chat Completions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from keyfob.gateway.llm.errors import AnswerFailedError
from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.formats import Json
from keyfob.gateway.llm.gather import gather
from keyfob.gateway.llm.translate import StreamTranslator, answer, request
from support.llm_samples import (
    BEGUN,
    CALL,
    THOUGHT,
    datas,
    ended,
    of_call,
    of_text,
    output_text,
    response,
    responses_stream,
    said,
    streamed,
)
from support.llm_types import check_answer, check_request

HELLO: Json = {"role": "user", "content": "Hello"}


ASKED: Json = {"model": "gpt", "messages": [HELLO]}


def answered(body: Json) -> Json:
    found = answer(body, "openai_responses", "openai_chat", ASKED)
    check_answer(found, "openai_chat")
    return found


def test_an_answer_comes_back() -> None:
    found = answered(response(said(output_text("Hello "), output_text("you"))))
    assert found["id"] == "chatcmpl-123"
    assert (found["created"], found["model"]) == (1700000000, "gpt-upstream")
    choice = found["choices"][0]
    assert choice["message"]["content"] == "Hello you"
    assert choice["finish_reason"] == "stop"
    usage = found["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (20, 12, 32)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 8
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 5


ARGUMENTS = CALL["arguments"]


def test_calls_come_back() -> None:
    custom = {"type": "custom_tool_call", "id": "c", "call_id": "call_2", "name": "patch", "input": "x"}
    choice = answered(response(CALL, custom))["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "get_weather", "arguments": CALL["arguments"]},
        },
        {"id": "call_2", "type": "custom", "custom": {"name": "patch", "input": "x"}},
    ]


@pytest.mark.parametrize(
    ("reason", "finish"), [("max_output_tokens", "length"), ("content_filter", "content_filter")]
)
def test_an_incomplete_answer_says_why(reason: str, finish: str) -> None:
    body = response(said(output_text("Hel")), status="incomplete", incomplete_details={"reason": reason})
    assert answered(body)["choices"][0]["finish_reason"] == finish


def test_a_refusal_comes_back() -> None:
    found = answered(response(said({"type": "refusal", "refusal": "No."})))["choices"][0]["message"]
    assert (found["refusal"], found["content"]) == ("No.", None)


def test_encrypted_reasoning_makes_the_round() -> None:
    """`reasoning_details` is a habit of vendors: whoever gives it back gets the same reasoning upstream."""
    message = answered(response(THOUGHT, CALL))["choices"][0]["message"]
    assert message["reasoning_content"] == "Think."
    result = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}
    body = {"model": "gpt", "messages": [HELLO, message, result]}
    found = request(body, "openai_chat", "openai_responses", "m")
    check_request(found, "openai_responses")
    assert found["input"][1] == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": "opaque",
    }
    assert found["input"][2]["type"] == "function_call"


def test_a_failed_answer_is_an_error() -> None:
    body = response(status="failed", error={"code": "rate_limit_exceeded", "message": "Slow down."})
    with pytest.raises(AnswerFailedError, match=r"Slow down\.") as found:
        answered(body)
    assert found.value.status == 429
    assert found.value.body("openai_chat")["error"]["type"] == "rate_limit_error"


def deltas(events: list[Event]) -> list[Json]:
    return [chunk["choices"][0]["delta"] for chunk in datas(events) if chunk.get("choices")]


def turned(events: list[Event], **fields: Any) -> list[Event]:
    return streamed(events, "openai_responses", "openai_chat", {**ASKED, **fields})


def test_a_streamed_text() -> None:
    found = turned(responses_stream(*BEGUN, *of_text(0, "Hel", "lo"), ended()))
    assert deltas(found) == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
    assert found[-1] == Event(None, "[DONE]")
    assert {(each["id"], each["created"], each["model"]) for each in datas(found)} == {
        ("chatcmpl-123", 1700000000, "gpt-upstream")
    }
    assert [each["choices"][0]["finish_reason"] for each in datas(found)] == [None, None, None, "stop"]
    assert all("usage" not in each for each in datas(found))


def test_the_usage_comes_in_a_chunk_of_its_own_for_who_asks() -> None:
    asked = {"stream_options": {"include_usage": True}}
    found = datas(turned(responses_stream(*BEGUN, *of_text(0, "Hi"), ended()), **asked))
    assert found[-1]["choices"] == []
    assert found[-1]["usage"]["prompt_tokens"] == 20
    assert all(each["usage"] is None and each["choices"] for each in found[:-1])


def test_calls_are_numbered_among_calls() -> None:
    events = responses_stream(
        *BEGUN, *of_text(0, "I look."), *of_call(1, "a", "{", "}"), *of_call(2, "b", "{}"), ended()
    )
    found = deltas(turned(events))
    assert [each["tool_calls"][0] for each in found if "tool_calls" in each] == [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "a", "arguments": ""}},
        {"index": 0, "function": {"arguments": "{"}},
        {"index": 0, "function": {"arguments": "}"}},
        {"index": 1, "id": "call_2", "type": "function", "function": {"name": "b", "arguments": ""}},
        {"index": 1, "function": {"arguments": "{}"}},
    ]
    assert datas(turned(events))[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    "kept",
    [
        ("response.function_call_arguments.done",),
        ("response.output_item.done",),
        ("response.output_item.added", "response.output_item.done"),
        ("response.output_item.added", "response.function_call_arguments.done", "response.output_item.done"),
    ],
)
def test_arguments_are_found_wherever_the_upstream_puts_them(kept: tuple[str, ...]) -> None:
    """Some upstreams send no deltas, and some only the finished item."""
    kept = (
        ("response.output_item.added", *kept) if kept == ("response.function_call_arguments.done",) else kept
    )
    events = [each for each in of_call(0, "a", "{}") if each["type"] in kept]
    found = [
        each["tool_calls"][0]
        for each in deltas(turned(responses_stream(*BEGUN, *events, ended())))
        if each.get("tool_calls")
    ]
    assert [each["function"]["arguments"] for each in found] == ["", "{}"]


def test_an_answer_that_stands_only_in_the_last_event() -> None:
    found = deltas(turned(responses_stream(*BEGUN, ended(said(output_text("Hi")), CALL))))
    assert found[1] == {"content": "Hi"}
    assert found[2]["tool_calls"][0]["id"] == "call_1"


def test_a_stream_without_its_first_event() -> None:
    found = turned(responses_stream(*of_text(0, "Hi"), ended()))
    assert deltas(found)[:2] == [{"role": "assistant", "content": "", "refusal": None}, {"content": "Hi"}]
    assert datas(found)[0]["model"] == "gpt"


def test_an_error_in_the_middle_ends_the_stream() -> None:
    failed = {
        "type": "response.failed",
        "response": response(status="failed", error={"code": "server_error", "message": "It broke."}),
    }
    found = turned(responses_stream(*BEGUN, *of_text(0, "Hel")[:3], failed))
    assert json.loads(found[-1].data)["error"]["message"] == "It broke."
    assert Event(None, "[DONE]") not in found


@pytest.mark.parametrize(
    "data",
    [
        {"type": "error", "code": "rate_limit_exceeded", "message": "Wait.", "param": None},
        {"type": "error", "error": {"type": "usage_limit_reached", "message": "Wait."}, "status_code": 429},
    ],
)
def test_an_error_event_of_either_shape(data: Json) -> None:
    translator = StreamTranslator("openai_responses", "openai_chat", ASKED)
    (found,) = translator.feed(Event("error", json.dumps(data)))
    assert json.loads(found.data)["error"] == {
        "message": "Wait.",
        "type": "rate_limit_error",
        "param": None,
        "code": data.get("code") or "usage_limit_reached",
    }
    assert translator.end() == []


def test_a_stream_that_is_cut_off_never_ends_well() -> None:
    found = turned(responses_stream(*BEGUN, *of_text(0, "Hel")[:3]))
    assert "before it was complete" in json.loads(found[-1].data)["error"]["message"]


def test_a_stream_of_something_else_is_an_error() -> None:
    translator = StreamTranslator("openai_responses", "openai_chat", ASKED)
    (found,) = translator.feed(Event(None, "<html>"))
    assert "cannot read" in json.loads(found.data)["error"]["message"]


def test_a_stream_is_gathered() -> None:
    """The Codex channel leaves the output out of its last event."""
    text_events = of_text(0, "Hello ", "you")
    found = gather(responses_stream(*BEGUN, *text_events, ended()), "openai_responses")
    assert found == response(text_events[-1]["item"])
    with pytest.raises(AnswerFailedError, match="before it was complete"):
        gather(responses_stream(*BEGUN), "openai_responses")
