"""What a request and an answer say: every format is read into this and written from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from keyfob.gateway.llm.formats import Json

Role = Literal["system", "developer", "user", "assistant"]
Maker = Literal["openai", "anthropic"]
Ending = Literal["stop", "length", "context", "calls", "filter", "stop_sequence", "paused"]


@dataclass(frozen=True, slots=True)
class Text:
    """Text."""

    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The model's words of refusal."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """An image by its address, which may be a data URL."""

    url: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A file by its address, which may be a data URL."""

    url: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What the model thought: a summary to read, and a proof that only its maker can use."""

    text: str = ""
    proof: str | None = None
    maker: Maker | None = None
    item_id: str | None = None
    hidden: bool = False  # Anthropic's redacted thinking, whose proof stands for the text


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool. `arguments` is JSON text as the model wrote it, or any text if the tool is free."""

    call_id: str
    name: str
    arguments: str
    free: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool gave back."""

    call_id: str
    parts: tuple[Text | Image | File, ...]
    is_error: bool = False
    free: bool = False


Part = Text | Refusal | Image | File | Reasoning | Call | Result


@dataclass(frozen=True, slots=True)
class Turn:
    """One message."""

    role: Role
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the model may call. A free tool takes text, by a grammar if `grammar` has one."""

    name: str
    description: str | None = None
    schema: Json | None = None
    strict: bool | None = None
    free: bool = False
    grammar: Json | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which tool to call. `tools` limits the choice to these names; with `named` it is this one."""

    mode: Literal["auto", "none", "required", "named"] = "auto"
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """What the text of an answer must be: JSON, of a schema if there is one."""

    schema: Json | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


@dataclass(slots=True)
class Conversation:
    """A whole request. `extra` holds the fields that both formats have under one name."""

    turns: list[Turn]
    tools: list[Tool] = field(default_factory=list)
    choice: Choice | None = None
    parallel: bool | None = None
    max_tokens: int | None = None
    stop: list[str] = field(default_factory=list)
    shape: Shape | None = None
    effort: str | None = None
    summarised: bool = False
    thinking: bool = False  # whether thinking is asked for, with or without an effort
    verbosity: str | None = None
    stream: bool = False
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. `input` includes what was read from and written to a cache; `output` includes reasoning."""

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_written: int = 0
    reasoning: int = 0


@dataclass(slots=True)
class Answer:
    """A whole answer."""

    answer_id: str
    model: str
    parts: list[Part]
    ending: Ending
    usage: Usage | None = None
    created: int = 0
    stop_sequence: str | None = None
    service_tier: str | None = None
