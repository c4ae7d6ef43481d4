"""Errors between formats, a stream as a whole answer, and the rules of the Codex channel."""

from __future__ import annotations

import json

import pytest

from keyfob.gateway.llm.codex import codex_request
from keyfob.gateway.llm.errors import AnswerFailedError, error, stream_error
from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.formats import Format, Json
from keyfob.gateway.llm.gather import gather
from keyfob.gateway.llm.pieces import Failed
from keyfob.gateway.llm.translate import answer, request
from support.llm_samples import (
    BEGUN,
    chat_stream,
    completion,
    ended,
    fragment,
    messages_stream,
    of_text,
    response,
    responses_stream,
    said_by_claude,
    text_block,
    thought_block,
    use_block,
)
from support.llm_types import check_events, check_request

OPENAI: Json = {"error": {"message": "No.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}
ANTHROPIC: Json = {"type": "error", "error": {"type": "overloaded_error", "message": "No."}}
BODIES: list[tuple[int, object, str, str]] = [
    # status, body, the type in OpenAI's words, the type in Anthropic's
    (400, {"detail": "No."}, "invalid_request_error", "invalid_request_error"),
    (401, {"error": "No."}, "authentication_error", "authentication_error"),
    (402, {"message": "No."}, "invalid_request_error", "billing_error"),
    (403, {"title": "Forbidden", "detail": "No."}, "permission_error", "permission_error"),
    (404, b'{"error": {"message": "No."}}', "invalid_request_error", "not_found_error"),
    (413, "No.", "invalid_request_error", "request_too_large"),
    (418, "No.", "invalid_request_error", "invalid_request_error"),
    (429, OPENAI, "rate_limit_error", "rate_limit_error"),
    (500, json.dumps(OPENAI), "server_error", "api_error"),
    (503, OPENAI, "server_error", "overloaded_error"),
    (529, ANTHROPIC, "server_error", "overloaded_error"),
]


@pytest.mark.parametrize(("status", "body", "openai", "anthropic"), BODIES)
def test_an_error_in_the_words_of_the_caller(status: int, body: object, openai: str, anthropic: str) -> None:
    found = error(status, body, "anthropic_messages", "openai_chat")["error"]
    assert (found["type"], found["message"], found["param"]) == (openai, "No.", None)
    back = error(status, body, "openai_responses", "anthropic_messages")
    assert back == {"type": "error", "error": {"type": anthropic, "message": "No."}}


def test_the_code_stays() -> None:
    assert error(429, OPENAI, "openai_responses", "openai_chat")["error"]["code"] == "rate_limit_exceeded"


def test_a_special_type_becomes_the_code() -> None:
    """As the Codex channel says why it refuses."""
    body = {"error": {"type": "usage_limit_reached", "message": "No.", "resets_in_seconds": 60}}
    found = error(429, body, "openai_responses", "openai_chat")["error"]
    assert (found["type"], found["code"]) == ("rate_limit_error", "usage_limit_reached")


def test_an_error_of_the_same_format_stays_as_it_is() -> None:
    assert error(529, ANTHROPIC, "anthropic_messages", "anthropic_messages") == ANTHROPIC


@pytest.mark.parametrize("body", ["", "<html>Not found</html>", b"\xff\xfe", None, [], {}, {"error": {}}])
def test_a_body_without_words(body: object) -> None:
    found = error(502, body, "openai_responses", "openai_chat")["error"]["message"]
    assert found
    assert "<html>" not in found


@pytest.mark.parametrize("target", ["openai_chat", "openai_responses", "anthropic_messages"])
def test_the_end_of_a_stream_that_failed(target: Format) -> None:
    (event,) = stream_error(Failed("No.", "rate_limit_error"), target, 7)
    found = json.loads(event.data)
    match target:
        case "openai_chat":
            assert event.name is None
            assert found["error"]["type"] == "rate_limit_error"
        case "anthropic_messages":
            assert event.name == "error"
            assert found == {"type": "error", "error": {"type": "rate_limit_error", "message": "No."}}
        case "openai_responses":
            check_events([event], "openai_responses")
            assert (found["code"], found["sequence_number"]) == ("rate_limit_exceeded", 7)


# Gathering


def test_a_stream_of_chat_is_gathered() -> None:
    call = fragment(0, '{"x":', id="call_1", name="f"), fragment(0, "1}")
    found = gather(chat_stream({"content": "I "}, {"content": "look."}, *call), "openai_chat")
    whole = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    expected = completion({"content": "I look.", "tool_calls": [whole]}, "tool_calls")
    for key in ("id", "object", "created", "model"):
        assert found[key] == expected[key]
    assert (
        found["usage"].items() >= {"prompt_tokens": 20, "completion_tokens": 12, "total_tokens": 32}.items()
    )
    assert found["choices"][0]["finish_reason"] == "tool_calls"
    assert found["choices"][0]["message"].items() >= expected["choices"][0]["message"].items()


def test_a_stream_of_messages_is_gathered() -> None:
    hidden = {"type": "redacted_thinking", "data": "opaque"}
    stream = messages_stream(
        thought_block("Hm", "m."),
        (hidden, []),
        text_block("I ", "look."),
        use_block("f", '{"x":', "1}"),
        reason="tool_use",
    )
    assert gather(stream, "anthropic_messages") == said_by_claude(
        {"type": "thinking", "thinking": "Hmm.", "signature": "proof"},
        hidden,
        {"type": "text", "text": "I look.", "citations": None},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"x": 1}},
        reason="tool_use",
    )


FAILED: list[tuple[list[Event], Format, int]] = [
    (responses_stream(*BEGUN), "openai_responses", 502),
    (chat_stream({"content": "Hi"}, finish=None), "openai_chat", 502),
    (messages_stream(text_block("Hi"))[:-1], "anthropic_messages", 502),
    ([Event(None, "<html>")], "openai_chat", 502),
    ([Event(None, json.dumps(OPENAI))], "openai_chat", 429),
    ([Event("error", json.dumps(ANTHROPIC))], "anthropic_messages", 529),
    (
        [Event("error", '{"type": "error", "error": {"type": "usage_limit_reached", "message": "No."}}')],
        "openai_responses",
        429,
    ),
]


@pytest.mark.parametrize(("events", "format", "status"), FAILED)
def test_a_stream_that_fails_is_no_answer(events: list[Event], format: Format, status: int) -> None:
    with pytest.raises(AnswerFailedError) as found:
        gather(events, format)
    assert found.value.status == status
    assert found.value.body(format)["error"]["message"]


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": [{"message": 3}]}])
def test_an_answer_that_cannot_be_read_is_a_failure(body: Json) -> None:
    with pytest.raises(AnswerFailedError, match="cannot read"):
        answer(body, "openai_chat", "anthropic_messages", {})


def test_an_answer_of_codex_is_gathered_and_translated() -> None:
    """The channel streams always; its last event has no output."""
    events = responses_stream(*BEGUN, *of_text(0, "Hello ", "you"), ended())
    whole = gather(events, "openai_responses")
    assert whole == response(of_text(0, "Hello ", "you")[-1]["item"])
    found = answer(whole, "openai_responses", "openai_chat", {"model": "m"})
    assert found["choices"][0]["message"]["content"] == "Hello you"


# The Codex channel


def test_a_request_for_the_codex_channel() -> None:
    body = {
        "model": "gpt",
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
        ],
        "max_tokens": 5,
        "temperature": 0.5,
        "user": "u",
        "reasoning_effort": "minimal",
    }
    found = codex_request(request(body, "openai_chat", "openai_responses", "gpt"))
    check_request(found, "openai_responses")
    assert (found["stream"], found["store"]) == (True, False)
    assert found["instructions"]
    assert found["include"] == ["reasoning.encrypted_content"]
    assert found["reasoning"] == {"effort": "low"}
    assert [item["role"] for item in found["input"]] == ["user", "developer", "user"]
    assert not {"max_output_tokens", "temperature", "user"} & set(found)


def test_what_codex_itself_sends_stays() -> None:
    body = {
        "model": "gpt",
        "stream": True,
        "store": False,
        "instructions": "You are Codex.",
        "input": [{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "x"}]}],
        "tools": [{"type": "custom", "name": "apply_patch"}, {"type": "web_search"}],
        "reasoning": {"effort": "high"},
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k",
        "client_metadata": {"a": "b"},
    }
    assert codex_request(body) == body


def test_a_plain_input_for_the_codex_channel() -> None:
    found = codex_request({"model": "gpt", "input": "Hi"})
    content = [{"type": "input_text", "text": "Hi"}]
    assert found["input"] == [{"type": "message", "role": "user", "content": content}]
