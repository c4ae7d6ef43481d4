"""Requests of Chat Completions."""

from __future__ import annotations

import re
from typing import Final

from keyfob.gateway.llm.formats import CannotTranslateError, Json
from keyfob.gateway.llm.instructions import gathered
from keyfob.gateway.llm.names import call_id, tool_name
from keyfob.gateway.llm.parts import (
    Call,
    Choice,
    Conversation,
    File,
    Image,
    Part,
    Refusal,
    Result,
    Shape,
    Text,
    Tool,
    Turn,
)

# OpenAI's models take the limit in another field than most servers.
_OF_OPENAI: Final = re.compile(r"(.*/)?(o\d|gpt-\d|chatgpt)")
_MOST_STOPS: Final = 4
_SHAPE_NAME: Final = "answer"


def request(conversation: Conversation, model: str) -> Json:
    """The request, written. Raises CannotTranslateError."""
    instructions, turns = gathered(conversation.turns)
    messages = [{"role": "system", "content": instructions}] if instructions else []
    messages += [message for turn in turns for message in _messages(turn)]
    body: Json = {"model": model, "messages": messages}
    if conversation.max_tokens is not None:
        limit = "max_completion_tokens" if _OF_OPENAI.match(model) else "max_tokens"
        body[limit] = conversation.max_tokens
    if conversation.tools:
        body["tools"] = [_tool(tool) for tool in conversation.tools]
        if conversation.choice is not None:
            body["tool_choice"] = _choice(conversation.choice)
        if conversation.parallel is not None:
            body["parallel_tool_calls"] = conversation.parallel
    if len(conversation.stop) > _MOST_STOPS:
        raise CannotTranslateError(
            "stop_sequences",
            f"stop_sequences cannot be translated: Chat Completions takes {_MOST_STOPS} of them.",
        )
    if conversation.stop:
        body["stop"] = conversation.stop
    if conversation.shape is not None:
        body["response_format"] = _format(conversation.shape)
    if conversation.effort is not None:
        body["reasoning_effort"] = conversation.effort
    if conversation.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}  # every answer of Messages has its tokens
    return {**body, **conversation.extra}


def _messages(turn: Turn) -> list[Json]:
    if turn.role == "assistant":
        return _of_assistant(turn.parts)
    results = [part for part in turn.parts if isinstance(part, Result)]
    messages: list[Json] = [_result(part) for part in results]
    content = [each for part in results for each in _beside(part)]
    content += [_content(part) for part in turn.parts if not isinstance(part, Result)]
    if len(content) == 1 and content[0]["type"] == "text":
        messages.append({"role": "user", "content": content[0]["text"]})
    elif content:
        messages.append({"role": "user", "content": content})
    return messages


def _of_assistant(parts: tuple[Part, ...]) -> list[Json]:
    text = "".join(part.text for part in parts if isinstance(part, Text | Refusal))
    message: Json = {"role": "assistant", "content": text or None}
    if calls := [_call(part) for part in parts if isinstance(part, Call)]:
        message["tool_calls"] = calls
    return [message] if text or calls else []


def _call(part: Call) -> Json:
    function = {"name": tool_name(part.name), "arguments": part.arguments or "{}"}
    return {"id": call_id(part.call_id), "type": "function", "function": function}


def _result(result: Result) -> Json:
    """The text of a result. Chat Completions has no mark for an error, so the text says it."""
    text = "".join(part.text for part in result.parts if isinstance(part, Text))
    if not text and any(not isinstance(part, Text) for part in result.parts):
        text = "The result is in the next message."
    mark = "Error: " if result.is_error else ""
    return {"role": "tool", "tool_call_id": call_id(result.call_id), "content": mark + text}


def _beside(result: Result) -> list[Json]:
    """What a result has beside text: Chat Completions takes it in a message of the user only."""
    others = [_content(part) for part in result.parts if not isinstance(part, Text)]
    if others:
        others.insert(0, {"type": "text", "text": f"From the result of {call_id(result.call_id)}:"})
    return others


def _content(part: Part) -> Json:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(url):
            return {"type": "image_url", "image_url": {"url": url}}
        case File(url, name):
            if not url.startswith("data:"):
                raise CannotTranslateError(
                    "messages.source.url",
                    "messages.source.url cannot be translated: Chat Completions takes no address of a file.",
                )
            return {"type": "file", "file": {"filename": name or "file.pdf", "file_data": url}}
        case _:
            raise CannotTranslateError(
                "messages", "Only an assistant's message can have calls and reasoning."
            )


def _tool(tool: Tool) -> Json:
    function: Json = {"name": tool_name(tool.name), "parameters": tool.schema}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _choice(choice: Choice) -> str | Json:
    if choice.mode == "named":
        return {"type": "function", "function": {"name": tool_name(choice.tools[0])}}
    return choice.mode


def _format(shape: Shape) -> Json:
    schema: Json = {"name": shape.name or _SHAPE_NAME, "schema": shape.schema, "strict": bool(shape.strict)}
    return {"type": "json_schema", "json_schema": schema}
