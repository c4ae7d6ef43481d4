"""Requests of Chat Completions."""

from __future__ import annotations

from typing import Final

from keyfob.gateway.llm.fields import CARRIED, Pair, check, only
from keyfob.gateway.llm.formats import (
    CHAT,
    CannotTranslateError,
    Json,
    list_of,
    object_of,
    text_of,
    wrong,
)
from keyfob.gateway.llm.parts import (
    Call,
    Choice,
    Conversation,
    File,
    Image,
    Maker,
    Part,
    Reasoning,
    Refusal,
    Result,
    Shape,
    Text,
    Tool,
    Turn,
)

_MESSAGE: Final = frozenset(
    ("role", "content", "refusal", "tool_calls", "tool_call_id", "reasoning_details", "name")
)
_PART: Final = frozenset(("type", "text", "refusal", "image_url", "file"))
_EXTRA: Final = (
    "temperature",
    "top_p",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "service_tier",
    "store",
)


def conversation(body: Json, pair: Pair) -> Conversation:
    """The request, read. Raises CannotTranslateError."""
    check(body, pair)
    only(
        object_of(body.get("stream_options") or {}, "stream_options"),
        frozenset(("include_usage",)),
        "stream_options",
        CHAT,
    )
    tools = [_tool(each, f"tools[{index}]") for index, each in enumerate(list_of(body.get("tools"), "tools"))]
    turns = _turns(list_of(body.get("messages"), "messages"))
    if not turns:
        raise wrong("messages", "a list with at least one message")
    stop = body.get("stop")
    return Conversation(
        turns=turns,
        tools=tools,
        choice=_choice(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls"),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        stop=[stop] if isinstance(stop, str) else list_of(stop, "stop"),
        shape=_shape(body.get("response_format")),
        effort=body.get("reasoning_effort"),
        summarised=False,
        thinking=body.get("reasoning_effort") not in (None, "none"),
        verbosity=body.get("verbosity"),
        stream=bool(body.get("stream")),
        extra={name: body[name] for name in _EXTRA if name in CARRIED[pair] and body.get(name) is not None},
    )


def _turns(messages: list[object]) -> list[Turn]:
    turns = []
    free: set[str] = set()  # the calls of free tools, whose results are of another kind in Responses
    for index, each in enumerate(messages):
        field = f"messages[{index}]"
        message = object_of(each, field)
        only(message, _MESSAGE, field, CHAT)
        role = message.get("role")
        if role == "tool":
            turns.append(Turn("user", (_result(message, field, free),)))
        elif role == "assistant":
            parts = _assistant(message, field)
            free |= {part.call_id for part in parts if isinstance(part, Call) and part.free}
            if parts:
                turns.append(Turn("assistant", tuple(parts)))
        elif role in ("system", "developer", "user"):
            turns.append(Turn(role, tuple(_parts(message.get("content"), f"{field}.content"))))
        elif role == "function":
            raise CannotTranslateError(
                f"{field}.role", f"{field}.role is the old form of a tool's result. Use the role tool."
            )
        else:
            raise wrong(f"{field}.role", "one of developer, system, user, assistant and tool")
    return turns


def _assistant(message: Json, field: str) -> list[Part]:
    parts: list[Part] = list(_reasoning(message.get("reasoning_details"), f"{field}.reasoning_details"))
    if message.get("content") is not None:
        parts += [part for part in _parts(message["content"], f"{field}.content") if part != Text("")]
    if message.get("refusal"):
        parts.append(Refusal(text_of(message["refusal"], f"{field}.refusal")))
    for index, each in enumerate(list_of(message.get("tool_calls"), f"{field}.tool_calls")):
        parts.append(_call(object_of(each, f"{field}.tool_calls[{index}]"), f"{field}.tool_calls[{index}]"))
    return parts


def _call(call: Json, field: str) -> Call:
    identity = text_of(call.get("id"), f"{field}.id")
    if call.get("type") == "custom":
        custom = object_of(call.get("custom"), f"{field}.custom")
        return Call(
            identity,
            text_of(custom.get("name"), f"{field}.custom.name"),
            text_of(custom.get("input"), f"{field}.custom.input"),
            free=True,
        )
    function = object_of(call.get("function"), f"{field}.function")
    return Call(
        identity,
        text_of(function.get("name"), f"{field}.function.name"),
        text_of(function.get("arguments"), f"{field}.function.arguments"),
    )


def _result(message: Json, field: str, free: set[str]) -> Result:
    identity = text_of(message.get("tool_call_id"), f"{field}.tool_call_id")
    parts = tuple(
        part
        for part in _parts(message.get("content"), f"{field}.content")
        if isinstance(part, Text | Image | File)
    )
    return Result(identity, parts, free=identity in free)


def _reasoning(details: object, field: str) -> list[Reasoning]:
    """`reasoning_details`, which other gateways and their clients use too; see `chat_answers`."""
    found = []
    for index, each in enumerate(list_of(details, field)):
        detail = object_of(each, f"{field}[{index}]")
        maker: Maker = "anthropic" if str(detail.get("format", "")).startswith("anthropic") else "openai"
        text = detail.get("text") or detail.get("summary") or ""
        match detail.get("type"):
            case "reasoning.encrypted":
                proof, hidden = detail.get("data"), maker == "anthropic"
            case "reasoning.text":
                proof, hidden = detail.get("signature"), False
            case _:
                continue  # a summary alone proves nothing
        if isinstance(proof, str) and isinstance(text, str):
            found.append(Reasoning(text, proof, maker, detail.get("id"), hidden))
    return found


def _parts(content: object, field: str) -> list[Part]:
    if isinstance(content, str):
        return [Text(content)]
    if not isinstance(content, list):
        raise wrong(field, "text or a list of parts")
    return [
        _part(object_of(each, f"{field}[{index}]"), f"{field}[{index}]") for index, each in enumerate(content)
    ]


def _part(part: Json, field: str) -> Part:
    only(part, _PART | {"input_audio"}, field, CHAT)
    match part.get("type"):
        case "text":
            return Text(text_of(part.get("text"), f"{field}.text"))
        case "refusal":
            return Refusal(text_of(part.get("refusal"), f"{field}.refusal"))
        case "image_url":
            image = object_of(part.get("image_url"), f"{field}.image_url")
            return Image(text_of(image.get("url"), f"{field}.image_url.url"), image.get("detail"))
        case "file":
            file = object_of(part.get("file"), f"{field}.file")
            if file.get("file_id"):
                raise CannotTranslateError(
                    f"{field}.file.file_id",
                    f"{field}.file.file_id cannot be translated: send the file itself.",
                )
            return File(text_of(file.get("file_data"), f"{field}.file.file_data"), file.get("filename"))
        case "input_audio":
            raise CannotTranslateError(
                f"{field}.input_audio", f"{field}.input_audio cannot be translated: it is sound."
            )
        case kind:
            raise CannotTranslateError(
                f"{field}.type", f"{field}.type cannot be translated: Keyfob does not know {kind}."
            )


def _tool(each: object, field: str) -> Tool:
    tool = object_of(each, field)
    match tool.get("type"):
        case "function":
            function = object_of(tool.get("function"), f"{field}.function")
            return Tool(
                text_of(function.get("name"), f"{field}.function.name"),
                function.get("description"),
                function.get("parameters"),
                function.get("strict"),
            )
        case "custom":
            custom = object_of(tool.get("custom"), f"{field}.custom")
            written = custom.get("format") or {}
            return Tool(
                text_of(custom.get("name"), f"{field}.custom.name"),
                custom.get("description"),
                free=True,
                grammar=written.get("grammar") if written.get("type") == "grammar" else None,
            )
        case _:
            raise wrong(f"{field}.type", "function or custom")


def _choice(value: object) -> Choice | None:
    match value:
        case None:
            return None
        case "auto" | "none" | "required":
            return Choice(value)
        case {"type": "function", "function": {"name": str(name)}} | {
            "type": "custom",
            "custom": {"name": str(name)},
        }:
            return Choice("named", (name,))
        case {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto" | "required" as mode, "tools": list(tools)},
        }:
            return Choice(mode, tuple(_allowed(each) for each in tools))
    raise wrong("tool_choice", "none, auto, required, or an object that names tools")


def _allowed(tool: object) -> str:
    match tool:
        case {"type": "function", "function": {"name": str(name)}} | {
            "type": "custom",
            "custom": {"name": str(name)},
        }:
            return name
    raise wrong("tool_choice.allowed_tools.tools", "a list of tools by their names")


def _shape(value: Json | None) -> Shape | None:
    match value:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return Shape()
        case {"type": "json_schema", "json_schema": {"name": str(name)}}:
            more: Json = value["json_schema"]
            return Shape(more.get("schema") or {}, name, more.get("description"), more.get("strict"))
    raise wrong("response_format", "of type text, json_object or json_schema")
