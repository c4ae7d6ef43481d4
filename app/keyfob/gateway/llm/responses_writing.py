"""Requests of Responses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from keyfob.gateway.llm.formats import CannotTranslateError, Json
from keyfob.gateway.llm.instructions import leading
from keyfob.gateway.llm.names import call_id, tool_name
from keyfob.gateway.llm.parts import (
    Call,
    Choice,
    Conversation,
    File,
    Image,
    Part,
    Reasoning,
    Refusal,
    Result,
    Shape,
    Text,
    Tool,
    Turn,
)

LEAST_TOKENS: Final = 16  # Responses refuses a lower limit
_SHAPE_NAME: Final = "answer"


def request(conversation: Conversation, model: str) -> Json:
    """The request, written. Raises CannotTranslateError."""
    instructions, turns = leading(conversation.turns)
    body: Json = {"model": model, "input": _items(turns)}
    if instructions:
        body["instructions"] = instructions
    if not body["input"]:
        # A request of instructions alone is allowed elsewhere; here it needs an input.
        body["input"] = [_message("developer", [{"type": "input_text", "text": instructions}])]
        del body["instructions"]
    if conversation.max_tokens is not None:
        body["max_output_tokens"] = max(conversation.max_tokens, LEAST_TOKENS)
    if conversation.tools:
        body["tools"] = [_tool(tool) for tool in conversation.tools]
    if conversation.choice is not None:
        body["tool_choice"] = _choice(conversation.choice, conversation.tools)
    if conversation.parallel is not None:
        body["parallel_tool_calls"] = conversation.parallel
    if text := _text_settings(conversation):
        body["text"] = text
    _set_reasoning(body, conversation)
    if conversation.stream:
        body["stream"] = True
    body.update(conversation.extra)
    # Responses stores every answer unless it is asked not to; the other formats do not.
    body.setdefault("store", False)
    return body


def _items(turns: list[Turn]) -> list[Json]:
    items: list[Json] = []
    for turn in turns:
        if turn.role == "assistant":
            items += _of_assistant(turn.parts)
        else:
            items += _of_others(turn)
    return items


def _of_others(turn: Turn) -> Iterable[Json]:
    """Results first: they answer the calls just before."""
    for part in turn.parts:
        if isinstance(part, Result):
            kind = "custom_tool_call_output" if part.free else "function_call_output"
            yield {"type": kind, "call_id": call_id(part.call_id), "output": _output(part)}
    content = [_content(part) for part in turn.parts if not isinstance(part, Result)]
    if content:
        yield _message(turn.role, content)


def _of_assistant(parts: tuple[Part, ...]) -> list[Json]:
    items: list[Json] = []
    content: list[Json] = []
    for part in parts:
        if isinstance(part, Text):
            content.append({"type": "output_text", "text": part.text, "annotations": []})
            continue
        if isinstance(part, Refusal):
            content.append({"type": "refusal", "refusal": part.text})
            continue
        if content:
            items.append(_message("assistant", content))
            content = []
        if isinstance(part, Call):
            items.append(_call(part))
        elif isinstance(part, Reasoning) and part.maker == "openai" and part.proof:
            items.append(_reasoning(part))
    if content:
        items.append(_message("assistant", content))
    while items and items[-1]["type"] == "reasoning":
        items.pop()  # refused without the item that it led to
    return items


def _message(role: str, content: list[Json]) -> Json:
    return {"type": "message", "role": role, "content": content}


def _call(part: Call) -> Json:
    identity, name = call_id(part.call_id), tool_name(part.name)
    if part.free:
        return {"type": "custom_tool_call", "call_id": identity, "name": name, "input": part.arguments}
    return {"type": "function_call", "call_id": identity, "name": name, "arguments": part.arguments or "{}"}


def _reasoning(part: Reasoning) -> Json:
    summary = [{"type": "summary_text", "text": part.text}] if part.text else []
    item: Json = {"type": "reasoning", "summary": summary, "encrypted_content": part.proof}
    if part.item_id:
        item["id"] = part.item_id
    return item


def _output(result: Result) -> str | list[Json]:
    """Text alone as text. Responses has no mark for an error, so the text says it."""
    if all(isinstance(part, Text) for part in result.parts):
        text = "".join(part.text for part in result.parts if isinstance(part, Text))
        return f"Error: {text}" if result.is_error else text
    mark: list[Json] = [{"type": "input_text", "text": "Error:"}] if result.is_error else []
    return mark + [_content(part) for part in result.parts]


def _content(part: Part) -> Json:
    match part:
        case Text() | Refusal():
            return {"type": "input_text", "text": part.text}
        case Image():
            return {"type": "input_image", "image_url": part.url, "detail": part.detail or "auto"}
        case File(url, name):
            if not url.startswith("data:"):
                return {"type": "input_file", "file_url": url}
            return {"type": "input_file", "filename": name or "file.pdf", "file_data": url}
        case _:
            raise CannotTranslateError(
                "messages", "Only an assistant's message can have calls and reasoning."
            )


def _tool(tool: Tool) -> Json:
    described = {"description": tool.description} if tool.description is not None else {}
    name = tool_name(tool.name)
    if tool.free:
        form = {"type": "grammar", **tool.grammar} if tool.grammar else {"type": "text"}
        return {"type": "custom", "name": name, **described, "format": form}
    return {
        "type": "function",
        "name": name,
        **described,
        "parameters": tool.schema or {"type": "object", "properties": {}},
        "strict": bool(tool.strict),  # left out, it would mean yes here and no elsewhere
    }


def _choice(choice: Choice, tools: list[Tool]) -> str | Json:
    free = {tool.name for tool in tools if tool.free}
    named = [
        {"type": "custom" if name in free else "function", "name": tool_name(name)} for name in choice.tools
    ]
    if choice.mode == "named":
        return named[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": named} if named else choice.mode


def _text_settings(conversation: Conversation) -> Json:
    text: Json = {}
    if conversation.shape is not None:
        text["format"] = _format(conversation.shape)
    if conversation.verbosity is not None:
        text["verbosity"] = conversation.verbosity
    return text


def _format(shape: Shape) -> Json:
    if shape.schema is None:
        return {"type": "json_object"}
    described = {"description": shape.description} if shape.description is not None else {}
    return {
        "type": "json_schema",
        "name": shape.name or _SHAPE_NAME,
        **described,
        "schema": shape.schema,
        "strict": bool(shape.strict),
    }


def _set_reasoning(body: Json, conversation: Conversation) -> None:
    reasoning: Json = {}
    if conversation.effort is not None:
        reasoning["effort"] = conversation.effort
    if conversation.summarised:
        reasoning["summary"] = "auto"
    if reasoning:
        body["reasoning"] = reasoning
    if conversation.thinking:
        # Nothing is stored, so the reasoning travels with the conversation.
        body["include"] = ["reasoning.encrypted_content"]
