"""Requests of Messages."""

from __future__ import annotations

import json
import re
from typing import Final

from keyfob.gateway.llm.formats import CannotTranslateError, Json
from keyfob.gateway.llm.instructions import gathered, leading
from keyfob.gateway.llm.names import call_id
from keyfob.gateway.llm.parts import (
    Call,
    Conversation,
    File,
    Image,
    Part,
    Reasoning,
    Refusal,
    Result,
    Text,
    Tool,
    Turn,
)

# Messages requires a limit, Chat Completions does not.
DEFAULT_MAX_TOKENS: Final = 16_384
# The field that holds what is written for a free tool.
FREE_INPUT: Final = "input"

_DATA: Final = re.compile(r"data:(?P<type>[\w.+/-]+)(?:;[\w=.-]+)*?;base64,(?P<data>.*)", re.DOTALL)
_IMAGES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
_CHOICES: Final = {"auto": "auto", "required": "any", "none": "none", "named": "tool"}


def request(conversation: Conversation, model: str) -> Json:
    """The request, written. Raises CannotTranslateError."""
    system, turns = gathered(conversation.turns)
    if turns != leading(conversation.turns)[1]:
        turns = _without_thoughts(turns)
    body: Json = {
        "model": model,
        "max_tokens": conversation.max_tokens or DEFAULT_MAX_TOKENS,
        "messages": _messages(turns),
    }
    if system:
        body["system"] = system
    if not body["messages"]:
        body["messages"] = [{"role": "user", "content": body.pop("system", "")}]
    if tools := _tools(conversation):
        body["tools"] = tools
        if choice := _choice(conversation):
            body["tool_choice"] = choice
    if conversation.stop:
        body["stop_sequences"] = conversation.stop
    if settings := _settings(conversation):
        body["output_config"] = settings
    if conversation.effort is not None:
        body["thinking"] = {"type": "disabled" if conversation.effort == "none" else "adaptive"}
    if conversation.stream:
        body["stream"] = True
    return {**body, **conversation.extra}


def _without_thoughts(turns: list[Turn]) -> list[Turn]:
    """Anthropic refuses thoughts whose instructions were others, so they end with later instructions."""
    kept = [tuple(part for part in turn.parts if not isinstance(part, Reasoning)) for turn in turns]
    return [Turn(turn.role, parts) for turn, parts in zip(turns, kept)]


def _messages(turns: list[Turn]) -> list[Json]:
    """The messages, with neighbours of one role as one: the results of all calls belong into one message."""
    messages: list[Json] = []
    for turn in turns:
        blocks = [block for part in turn.parts for block in _blocks(part)]
        if not blocks:
            continue
        if messages and messages[-1]["role"] == turn.role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": turn.role, "content": blocks})
    for message in messages:
        message["content"].sort(key=lambda block: block["type"] != "tool_result")
    return messages


def _blocks(part: Part) -> list[Json]:
    match part:
        case Text(text) | Refusal(text):
            return [{"type": "text", "text": text}] if text else []  # an empty block is refused
        case Image(url):
            return [_image(url)]
        case File():
            return [_document(part)]
        case Call():
            return [
                {"type": "tool_use", "id": call_id(part.call_id), "name": part.name, "input": _input(part)}
            ]
        case Result():
            return [_result(part)]
        case Reasoning(maker="anthropic", hidden=True):
            return [{"type": "redacted_thinking", "data": part.proof}]
        case Reasoning(maker="anthropic"):
            return [{"type": "thinking", "thinking": part.text, "signature": part.proof}]
        case Reasoning():
            return []  # another vendor's proof is of no use


def _image(url: str) -> Json:
    data = _DATA.fullmatch(url)
    if data is None:
        return {"type": "image", "source": {"type": "url", "url": url}}
    if data["type"] not in _IMAGES:
        raise CannotTranslateError(
            "messages.image_url",
            f"messages.image_url cannot be translated: Messages takes no {data['type']}.",
        )
    return {"type": "image", "source": {"type": "base64", "media_type": data["type"], "data": data["data"]}}


def _document(part: File) -> Json:
    titled = {"title": part.name} if part.name else {}
    data = _DATA.fullmatch(part.url)
    if data is None:
        return {"type": "document", "source": {"type": "url", "url": part.url}, **titled}
    if data["type"] != "application/pdf":
        raise CannotTranslateError(
            "messages.file", f"messages.file cannot be translated: Messages takes a PDF, not {data['type']}."
        )
    source = {"type": "base64", "media_type": data["type"], "data": data["data"]}
    return {"type": "document", "source": source, **titled}


def _input(call: Call) -> Json:
    """Arguments as an object. What a model wrote in another form is kept as text."""
    if call.free:
        return {FREE_INPUT: call.arguments}
    try:
        found = json.loads(call.arguments or "{}")
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"arguments": call.arguments}


def _result(part: Result) -> Json:
    content = [block for each in part.parts for block in _blocks(each)]
    marked = {"is_error": True} if part.is_error else {}
    return {"type": "tool_result", "tool_use_id": call_id(part.call_id), "content": content, **marked}


def _tools(conversation: Conversation) -> list[Json]:
    allowed = conversation.choice.tools if conversation.choice and conversation.choice.mode != "named" else ()
    return [_tool(tool) for tool in conversation.tools if not allowed or tool.name in allowed]


def _tool(tool: Tool) -> Json:
    described = {"description": tool.description} if tool.description else {}
    if tool.free:
        return {"name": tool.name, **described, "input_schema": _free_schema(tool.grammar)}
    schema = {"type": "object", **(tool.schema or {"properties": {}})}
    strict = {"strict": True} if tool.strict else {}
    return {"name": tool.name, **described, "input_schema": schema, **strict}


def _free_schema(grammar: Json | None) -> Json:
    """Messages has no tools that take text, so the text is the one field of an object."""
    written: Json = {"type": "string"}
    if grammar:
        written["description"] = f"Text of this {grammar.get('syntax')} grammar:\n{grammar.get('definition')}"
    return {
        "type": "object",
        "properties": {FREE_INPUT: written},
        "required": [FREE_INPUT],
        "additionalProperties": False,
    }


def _choice(conversation: Conversation) -> Json | None:
    choice = conversation.choice
    if choice is None and conversation.parallel is not False:
        return None
    mode = choice.mode if choice else "auto"
    written: Json = {"type": _CHOICES[mode]}
    if choice and mode == "named":
        written["name"] = choice.tools[0]
    if conversation.parallel is False and mode != "none":
        written["disable_parallel_tool_use"] = True
    return written


def _settings(conversation: Conversation) -> Json:
    settings: Json = {}
    if conversation.effort not in (None, "none"):
        settings["effort"] = "low" if conversation.effort == "minimal" else conversation.effort
    if conversation.shape is not None:
        if conversation.shape.schema is None:
            raise CannotTranslateError(
                "response_format",
                "response_format cannot be translated: Messages has JSON by a schema only. Use json_schema.",
            )
        settings["format"] = {"type": "json_schema", "schema": conversation.shape.schema}
    return settings
