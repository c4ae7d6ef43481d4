"""Requests of Messages."""

from __future__ import annotations

import json
from typing import Final

from keyfob.gateway.llm.fields import CARRIED, Pair, check, only
from keyfob.gateway.llm.formats import (
    CannotTranslateError,
    Json,
    list_of,
    object_of,
    text_of,
    wrong,
)
from keyfob.gateway.llm.names import from_signature
from keyfob.gateway.llm.parts import (
    Call,
    Choice,
    Conversation,
    File,
    Image,
    Part,
    Reasoning,
    Result,
    Role,
    Shape,
    Text,
    Tool,
    Turn,
)

_BLOCKS: Final[dict[str, frozenset[str]]] = {
    "text": frozenset(("type", "text")),
    "image": frozenset(("type", "source")),
    "document": frozenset(("type", "source", "title", "context")),
    "search_result": frozenset(("type", "source", "title", "content")),
    "tool_use": frozenset(("type", "id", "name", "input")),
    "tool_result": frozenset(("type", "tool_use_id", "content", "is_error")),
    "thinking": frozenset(("type", "thinking", "signature")),
    "redacted_thinking": frozenset(("type", "data")),
}
_TOOL: Final = frozenset(("type", "name", "description", "input_schema", "strict"))
# Claude Code describes itself to Anthropic in a first block of the system's text, which changes each time.
_BILLING: Final = "x-anthropic-billing-header:"
_EFFORTS: Final = ((4096, "high"), (2048, "medium"), (0, "low"))  # from so many tokens of thought


def conversation(body: Json, pair: Pair) -> Conversation:
    """The request, read. Raises CannotTranslateError."""
    check(body, pair)
    turns = _system(body.get("system"))
    messages = list_of(body.get("messages"), "messages")
    if not messages:
        raise wrong("messages", "a list with at least one message")
    for index, each in enumerate(messages):
        turns.append(_turn(object_of(each, f"messages[{index}]"), f"messages[{index}]"))
    if turns[-1].role == "assistant":
        raise CannotTranslateError(
            f"messages[{len(messages) - 1}]",
            f"messages[{len(messages) - 1}] cannot be translated: OpenAI's models do not continue an answer "
            "that the caller begins.",
        )
    choice = object_of(body.get("tool_choice") or {}, "tool_choice")
    settings = object_of(body.get("output_config") or {}, "output_config")
    only(settings, frozenset(("effort", "format")), "output_config", "anthropic_messages")
    thinking = object_of(body.get("thinking") or {}, "thinking")
    return Conversation(
        turns=turns,
        tools=[
            _tool(object_of(each, f"tools[{index}]"), f"tools[{index}]")
            for index, each in enumerate(list_of(body.get("tools"), "tools"))
        ],
        choice=_choice(choice),
        parallel=False if choice.get("disable_parallel_tool_use") else None,
        max_tokens=body.get("max_tokens"),
        stop=list_of(body.get("stop_sequences"), "stop_sequences"),
        shape=_shape(settings.get("format") or body.get("output_format")),
        effort=settings.get("effort") or _effort(thinking),
        summarised=_is_summarised(thinking),
        thinking=thinking.get("type") not in (None, "disabled"),
        stream=bool(body.get("stream")),
        extra={
            name: body[name]
            for name in ("temperature", "top_p")
            if name in CARRIED[pair] and body.get(name) is not None
        },
    )


def _system(system: object) -> list[Turn]:
    if not system:
        return []
    texts = [part for part in _parts(system, "system") if isinstance(part, Text)]
    kept = tuple(part for part in texts if not part.text.startswith(_BILLING))
    return [Turn("system", kept)] if kept else []


def _turn(message: Json, field: str) -> Turn:
    only(message, frozenset(("role", "content")), field, "anthropic_messages")
    role: Role
    match message.get("role"):
        case "user" | "assistant" | "system" as known:
            role = known
        case _:
            raise wrong(f"{field}.role", "one of user, assistant and system")
    parts = _parts(message.get("content"), f"{field}.content")
    # Other models take the system's later messages from the developer.
    return Turn("developer" if role == "system" else role, tuple(parts))


def _parts(content: object, field: str) -> list[Part]:
    if isinstance(content, str):
        return [Text(content)]
    if not isinstance(content, list):
        raise wrong(field, "text or a list of blocks")
    found: list[Part] = []
    for index, each in enumerate(content):
        found += _block(object_of(each, f"{field}[{index}]"), f"{field}[{index}]")
    return found


def _block(block: Json, field: str) -> list[Part]:
    kind = block.get("type")
    if kind not in _BLOCKS:
        raise CannotTranslateError(
            f"{field}.type",
            f"{field}.type cannot be translated: {kind} has no counterpart in OpenAI's formats.",
        )
    only(block, _BLOCKS[kind], field, "anthropic_messages")
    match kind:
        case "text":
            return [Text(text_of(block.get("text"), f"{field}.text"))]
        case "image":
            return [Image(_address(object_of(block.get("source"), f"{field}.source"), f"{field}.source"))]
        case "document":
            return _document(block, field)
        case "search_result":
            return _search_result(block, field)
        case "tool_use":
            return [_call(block, field)]
        case "tool_result":
            return [_result(block, field)]
        case "thinking":
            text = text_of(block.get("thinking"), f"{field}.thinking")
            return [from_signature(text, block.get("signature") or "")]
        case _:
            return [Reasoning("", block.get("data"), "anthropic", hidden=True)]


def _address(source: Json, field: str) -> str:
    match source:
        case {"type": "base64", "media_type": str(media_type), "data": str(data)}:
            return f"data:{media_type};base64,{data}"
        case {"type": "url", "url": str(url)}:
            return url
        case {"type": "file"}:
            raise CannotTranslateError(
                f"{field}.file_id", f"{field}.file_id cannot be translated: send the file itself."
            )
    raise wrong(field, "of type base64 or url")


def _document(block: Json, field: str) -> list[Part]:
    source = object_of(block.get("source"), f"{field}.source")
    title, context = block.get("title"), block.get("context")
    before: list[Part] = [Text(context)] if isinstance(context, str) and context else []
    match source:
        case {"type": "text", "data": str(data)}:
            return [*before, Text(f"{title}\n\n{data}" if title else data)]
        case {"type": "content", "content": content}:
            return [*before, *_parts(content, f"{field}.source.content")]
        case _:
            return [*before, File(_address(source, f"{field}.source"), title)]


def _search_result(block: Json, field: str) -> list[Part]:
    """What the caller found, as text below its title and address."""
    found = _parts(block.get("content"), f"{field}.content")
    head = "\n".join(str(block[name]) for name in ("title", "source") if block.get(name))
    return [Text("\n\n".join([head, *(part.text for part in found if isinstance(part, Text))]))]


def _call(block: Json, field: str) -> Call:
    arguments = object_of(block.get("input"), f"{field}.input")
    return Call(
        text_of(block.get("id"), f"{field}.id"),
        text_of(block.get("name"), f"{field}.name"),
        json.dumps(arguments, separators=(",", ":"), ensure_ascii=False),
    )


def _result(block: Json, field: str) -> Result:
    content = block.get("content")
    parts = [] if content is None else _parts(content, f"{field}.content")
    return Result(
        text_of(block.get("tool_use_id"), f"{field}.tool_use_id"),
        tuple(part for part in parts if isinstance(part, Text | Image | File)),
        is_error=bool(block.get("is_error")),
    )


def _tool(tool: Json, field: str) -> Tool:
    if tool.get("type") not in (None, "custom"):
        raise CannotTranslateError(
            f"{field}.type", f"{field}.type cannot be translated: {tool['type']} runs at Anthropic."
        )
    only(tool, _TOOL, field, "anthropic_messages")
    return Tool(
        text_of(tool.get("name"), f"{field}.name"),
        tool.get("description"),
        object_of(tool.get("input_schema"), f"{field}.input_schema"),
        tool.get("strict"),
    )


def _choice(choice: Json) -> Choice | None:
    if not choice:
        return None
    match choice.get("type"):
        case "auto":
            return Choice("auto")
        case "any":
            return Choice("required")
        case "none":
            return Choice("none")
        case "tool":
            return Choice("named", (text_of(choice.get("name"), "tool_choice.name"),))
    raise wrong("tool_choice.type", "one of auto, any, none and tool")


def _shape(value: Json | None) -> Shape | None:
    match value:
        case None:
            return None
        case {"type": "json_schema", "schema": dict(schema)}:
            return Shape(schema, strict=_is_strict(schema))
    raise wrong("output_config.format", "of type json_schema, with a schema")


def _is_strict(schema: object) -> bool:
    """Whether OpenAI takes the schema in its strict mode, in which every property is required."""
    if isinstance(schema, list):
        return all(_is_strict(each) for each in schema)
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        if schema.get("additionalProperties") is not False:
            return False
        if set(schema.get("required") or ()) != set(properties or ()):
            return False
        return all(_is_strict(each) for each in (properties or {}).values())
    return all(_is_strict(each) for each in schema.values())


def _effort(thinking: Json) -> str | None:
    """A budget of thought in OpenAI's words."""
    budget = thinking.get("budget_tokens")
    if thinking.get("type") != "enabled" or not isinstance(budget, int):
        return None
    return next(effort for least, effort in _EFFORTS if budget >= least)


def _is_summarised(thinking: Json) -> bool:
    display = thinking.get("display")
    return display == "summarized" or (display is None and thinking.get("type") == "enabled")
