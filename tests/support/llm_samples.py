"""Answers of the three formats, whole and as the events of a stream."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.formats import Format, Json
from keyfob.gateway.llm.translate import StreamTranslator
from support.llm_types import check_answer, check_events

# Responses


def response(*output: Json, **more: Any) -> Json:
    """A whole answer of Responses."""
    body = {
        "id": "resp_123",
        "object": "response",
        "created_at": 1700000000,
        "status": "completed",
        "model": "gpt-upstream",
        "output": list(output),
        "usage": {
            "input_tokens": 20,
            "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2},
            "output_tokens": 12,
            "output_tokens_details": {"reasoning_tokens": 5},
            "total_tokens": 32,
        },
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **more,
    }
    check_answer(body, "openai_responses")
    return body


def said(*content: Json) -> Json:
    """A message in the output of Responses."""
    return {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": list(content),
    }


def output_text(value: str) -> Json:
    return {"type": "output_text", "text": value, "annotations": []}


CALL: Json = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "get_weather",
    "arguments": '{"city":"Paris"}',
}
THOUGHT: Json = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Think."}],
    "encrypted_content": "opaque",
}


def responses_stream(*events: Json) -> list[Event]:
    """Events of Responses, numbered, and judged by the SDK's types."""
    numbered = [{"sequence_number": number, **each} for number, each in enumerate(events)]
    found = [Event(each["type"], json.dumps(each)) for each in numbered]
    check_events(found, "openai_responses")
    return found


def of_text(index: int, *deltas: str) -> list[Json]:
    """The events of a message with one text."""
    place = {"item_id": f"msg_{index}", "output_index": index, "content_index": 0}
    whole = "".join(deltas)
    item = said(output_text(whole)) | {"id": f"msg_{index}"}
    begun = {**item, "status": "in_progress", "content": []}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": begun},
        {"type": "response.content_part.added", **place, "part": output_text("")},
        *({"type": "response.output_text.delta", **place, "delta": each, "logprobs": []} for each in deltas),
        {"type": "response.output_text.done", **place, "text": whole, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": output_text(whole)},
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def of_call(index: int, name: str, *deltas: str) -> list[Json]:
    """The events of a call."""
    place = {"item_id": f"fc_{index}", "output_index": index}
    item = {
        "type": "function_call",
        "id": f"fc_{index}",
        "call_id": f"call_{index}",
        "name": name,
        "arguments": "",
    }
    whole = {**item, "arguments": "".join(deltas)}
    done = {"name": name, "arguments": whole["arguments"]}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": item},
        *({"type": "response.function_call_arguments.delta", **place, "delta": each} for each in deltas),
        {"type": "response.function_call_arguments.done", **place, **done},
        {"type": "response.output_item.done", "output_index": index, "item": whole},
    ]


def of_thought(index: int, *deltas: str) -> list[Json]:
    """The events of reasoning with a summary and an encrypted part."""
    place = {"item_id": f"rs_{index}", "output_index": index, "summary_index": 0}
    summary = {"type": "summary_text", "text": "".join(deltas)}
    item = {"type": "reasoning", "id": f"rs_{index}", "summary": [summary], "encrypted_content": "opaque"}
    return [
        {
            "type": "response.output_item.added",
            "output_index": index,
            "item": {**item, "summary": [], "encrypted_content": ""},
        },
        {
            "type": "response.reasoning_summary_part.added",
            **place,
            "part": {"type": "summary_text", "text": ""},
        },
        *({"type": "response.reasoning_summary_text.delta", **place, "delta": each} for each in deltas),
        {"type": "response.reasoning_summary_text.done", **place, "text": summary["text"]},
        {"type": "response.reasoning_summary_part.done", **place, "part": summary},
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


BEGUN: list[Json] = [
    {"type": "response.created", "response": response(status="in_progress", usage=None)},
    {"type": "response.in_progress", "response": response(status="in_progress", usage=None)},
]


def ended(*output: Json) -> Json:
    return {"type": "response.completed", "response": response(*output)}


# Chat Completions


def completion(message: Json, finish: str = "stop") -> Json:
    """A whole answer of Chat Completions."""
    body = {
        "id": "chatcmpl-123",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "gpt-upstream",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": None, "refusal": None, **message},
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
        "usage": CHAT_USAGE,
    }
    check_answer(body, "openai_chat")
    return body


CHAT_USAGE: Json = {
    "prompt_tokens": 20,
    "completion_tokens": 12,
    "total_tokens": 32,
    "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


def chunk(delta: Json, finish: str | None = None, **more: Any) -> Json:
    return {
        "id": "chatcmpl-123",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "gpt-upstream",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        **more,
    }


def chat_stream(*deltas: Json, finish: str | None = "stop", done: bool = True) -> list[Event]:
    """The events of a chat: an opening chunk, these deltas, the finish, the usage and `[DONE]`."""
    datas = [chunk({"role": "assistant", "content": ""}), *(chunk(each) for each in deltas)]
    if finish:
        datas += [chunk({}, finish), {**chunk({}), "choices": [], "usage": CHAT_USAGE}]
    events = [Event(None, json.dumps(each)) for each in datas]
    return [*events, Event(None, "[DONE]")] if done else events


def fragment(index: int, arguments: str, **more: Any) -> Json:
    """A delta with a fragment of a call. `name` and `id` are for the first one."""
    function = {"arguments": arguments} | ({"name": more.pop("name")} if "name" in more else {})
    return {"tool_calls": [{"index": index, "function": function, **more}]}


# Messages


def said_by_claude(*content: Json, reason: str = "end_turn", **more: Any) -> Json:
    """A whole answer of Messages."""
    body = {
        "id": "msg_123",
        "type": "message",
        "role": "assistant",
        "model": "claude-upstream",
        "content": list(content),
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": CLAUDE_USAGE,
        **more,
    }
    check_answer(body, "anthropic_messages")
    return body


CLAUDE_USAGE: Json = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 2,
    "cache_read_input_tokens": 8,
    "output_tokens": 12,
    "output_tokens_details": {"thinking_tokens": 5},
}


def messages_stream(*blocks: tuple[Json, list[Json]], reason: str = "end_turn") -> list[Event]:
    """The events of Messages: each block with its deltas."""
    opening = said_by_claude()
    opening |= {"stop_reason": None, "usage": {**CLAUDE_USAGE, "output_tokens": 1}}
    datas: list[Json] = [{"type": "message_start", "message": opening}, {"type": "ping"}]
    for index, (block, deltas) in enumerate(blocks):
        datas.append({"type": "content_block_start", "index": index, "content_block": block})
        datas += [{"type": "content_block_delta", "index": index, "delta": each} for each in deltas]
        datas.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": reason, "stop_sequence": None}
    datas.append({"type": "message_delta", "delta": delta, "usage": CLAUDE_USAGE})
    datas.append({"type": "message_stop"})
    found = [Event(each["type"], json.dumps(each)) for each in datas]
    check_events(found, "anthropic_messages")
    return found


def text_block(*deltas: str) -> tuple[Json, list[Json]]:
    return {"type": "text", "text": ""}, [{"type": "text_delta", "text": each} for each in deltas]


def use_block(name: str, *deltas: str, call_id: str = "toolu_1") -> tuple[Json, list[Json]]:
    block = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
    return block, [{"type": "input_json_delta", "partial_json": each} for each in deltas]


def thought_block(*deltas: str) -> tuple[Json, list[Json]]:
    said = [{"type": "thinking_delta", "thinking": each} for each in deltas]
    proof = {"type": "signature_delta", "signature": "proof"}
    return {"type": "thinking", "thinking": "", "signature": ""}, [*said, proof]


# All


def streamed(events: Iterable[Event], source: Format, target: Format, asked: Json) -> list[Event]:
    """The whole stream, translated, and judged by the types of the target's SDK."""
    translator = StreamTranslator(source, target, asked)
    found = [each for event in events for each in translator.feed(event)] + translator.end()
    check_events([each for each in found if '"error"' not in each.data], target)
    return found


def datas(events: Iterable[Event]) -> list[Json]:
    """What the events say, without the mark at the end of a chat."""
    return [json.loads(event.data) for event in events if event.data != "[DONE]"]
