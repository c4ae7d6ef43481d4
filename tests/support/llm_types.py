"""The types of the vendors' published SDKs, as judges of what the translators write."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParamsBase
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsBase
from pydantic import TypeAdapter

from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.formats import Format, Json

_REQUEST: dict[Format, Any] = {
    "openai_chat": CompletionCreateParamsBase,
    "openai_responses": ResponseCreateParamsBase,
    "anthropic_messages": MessageCreateParamsBase,
}
_ANSWER: dict[Format, Any] = {
    "openai_chat": ChatCompletion,
    "openai_responses": Response,
    "anthropic_messages": Message,
}
_EVENT: dict[Format, Any] = {
    "openai_chat": ChatCompletionChunk,
    "openai_responses": ResponseStreamEvent,
    "anthropic_messages": RawMessageStreamEvent,
}
# Fields that are no longer in the types, and that older models take.
_OLDER = {"anthropic_messages": {"temperature", "top_p"}}


@cache
def _judge(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _whole(value: object) -> object:
    """Iterables are checked only as they are read."""
    if isinstance(value, Mapping):
        return {name: _whole(each) for name, each in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [_whole(each) for each in value]
    return value


def check_request(body: Json, format: Format) -> None:
    """Raises if the SDK's type of a request does not fit."""
    kind = _REQUEST[format]
    known = set(kind.__annotations__) | {"stream"} | _OLDER.get(format, set())
    assert set(body) <= known, set(body) - known
    _whole(_judge(kind).validate_python(_with_ids(body) if format == "openai_responses" else body))


def _with_ids(body: Json) -> Json:
    """The types want an id for what the assistant said; Codex sends none, and the servers want none."""
    more = {"id": "msg", "status": "completed"}
    items = [{**more, **item} if item.get("role") == "assistant" else item for item in body["input"]]
    return {
        **body,
        "input": [{"id": "rs", **item} if item["type"] == "reasoning" else item for item in items],
    }


def check_answer(body: Json, format: Format) -> None:
    """Raises if the SDK's type of an answer does not fit."""
    _ANSWER[format].model_validate(body)


def check_events(events: Iterable[Event], format: Format) -> None:
    """Raises if the SDK's types of events do not fit."""
    for event in events:
        if event.data == "[DONE]":
            assert format == "openai_chat"
            continue
        data = json.loads(event.data)
        if format == "openai_chat":
            assert event.name is None
        else:
            assert event.name == data["type"]
        if data.get("type") not in ("ping", "error"):
            _judge(_EVENT[format]).validate_python(data)
