"""Which fields of a request are translated, which are dropped, and which are refused.

docs/models.md has the same tables; a test compares them. A field that no table has is refused by its name.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from keyfob.gateway.llm.formats import TITLES, CannotTranslateError, Format, Json

Pair = tuple[Format, Format]


class Refused(NamedTuple):
    """Why a field is refused, and its values that change nothing and are let through."""

    why: str
    harmless: tuple[object, ...] = ()


_SAME_VENDOR: Final = (
    "verbosity",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "service_tier",
    "store",
)
_OF_CHAT: Final = (
    "model",
    "messages",
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "stream",
    "stream_options",
)
_OF_MESSAGES: Final = (
    "model",
    "messages",
    "system",
    "max_tokens",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "output_config",
    "output_format",
    "thinking",
    "stream",
)

CARRIED: Final[dict[Pair, frozenset[str]]] = {
    ("openai_chat", "openai_responses"): frozenset((*_OF_CHAT, *_SAME_VENDOR)),
    ("openai_chat", "anthropic_messages"): frozenset((*_OF_CHAT, "stop")),
    ("anthropic_messages", "openai_responses"): frozenset(_OF_MESSAGES),
    ("anthropic_messages", "openai_chat"): frozenset((*_OF_MESSAGES, "stop_sequences")),
}

_DROPPED_OF_CHAT: Final = {
    "prediction": "It makes an answer faster and does not change it.",
    "seed": "The other format has no seed. The same request may give another answer.",
}
_DROPPED_OF_MESSAGES: Final = {
    "metadata": "It identifies a person. Keyfob does not pass that on to another provider.",
    "cache_control": "OpenAI caches prompts without being asked.",
    "context_management": "It makes Anthropic leave out old parts of a conversation. All of it is sent.",
    "diagnostics": "It asks Anthropic about its cache.",
    "service_tier": "The tiers of the two vendors are not the same. The upstream's default is used.",
    "speed": "The upstream's usual speed is used.",
}
DROPPED: Final[dict[Pair, dict[str, str]]] = {
    ("openai_chat", "openai_responses"): _DROPPED_OF_CHAT,
    ("openai_chat", "anthropic_messages"): {
        **_DROPPED_OF_CHAT,
        "metadata": "It is for OpenAI's list of stored answers.",
        "prompt_cache_key": "It is for OpenAI's cache.",
        "prompt_cache_options": "It is for OpenAI's cache.",
        "prompt_cache_retention": "It is for OpenAI's cache.",
        "safety_identifier": "It identifies a person. Keyfob does not pass that on to another provider.",
        "service_tier": "The tiers of the two vendors are not the same. The upstream's default is used.",
        "store": "Anthropic stores no answers for later requests.",
        "user": "It identifies a person. Keyfob does not pass that on to another provider.",
        "verbosity": "Messages has no such setting.",
    },
    ("anthropic_messages", "openai_responses"): _DROPPED_OF_MESSAGES,
    ("anthropic_messages", "openai_chat"): _DROPPED_OF_MESSAGES,
}

# Inside messages, content, tools and settings, whatever the target is.
DROPPED_INSIDE: Final[dict[Format, dict[str, str]]] = {
    "openai_chat": {
        "annotations": "Sources are not translated. The text stays.",
        "include_obfuscation": "It changes how a stream is padded.",
        "name": "Only Chat Completions has names of participants.",
        "parsed": "It is how the SDK read the text.",
        "prompt_cache_breakpoint": "It is for OpenAI's cache.",
        "reasoning": "It is the text of earlier reasoning, without a proof that the model could use.",
        "reasoning_content": "It is the text of earlier reasoning, without a proof that the model could use.",
    },
    "anthropic_messages": {
        "allowed_callers": "Only Anthropic runs tools from inside its sandbox.",
        "cache_control": "OpenAI caches prompts without being asked.",
        "caller": "Only Anthropic runs tools from inside its sandbox.",
        "citations": "Sources are not translated. The text stays.",
        "defer_loading": "All tools are sent at once.",
        "eager_input_streaming": "The upstream decides how it streams.",
        "parsed_output": "It is how the SDK read the text.",
        "input_examples": "OpenAI has no examples beside a tool's schema.",
    },
    "openai_responses": {},
}

_REFUSED_OF_CHAT: Final = {
    "audio": Refused("it asks for sound"),
    "frequency_penalty": Refused("it has no counterpart", (0,)),
    "function_call": Refused("it is the old form of tool_choice. Use tool_choice"),
    "functions": Refused("it is the old form of tools. Use tools"),
    "logit_bias": Refused("it has no counterpart", ({},)),
    "logprobs": Refused("the probabilities of tokens are not translated", (False,)),
    "modalities": Refused("only text is translated", (["text"],)),
    "moderation": Refused("its results have no counterpart"),
    "n": Refused("one request gives one answer", (1,)),
    "presence_penalty": Refused("it has no counterpart", (0,)),
    "top_logprobs": Refused("the probabilities of tokens are not translated", (0,)),
    "web_search_options": Refused("a search by the provider is not translated"),
}
_REFUSED_OF_MESSAGES: Final = {
    "compaction": Refused("it needs Anthropic's server"),
    "container": Refused("it needs Anthropic's sandbox"),
    "fallbacks": Refused("the model table decides which model answers"),
    "inference_geo": Refused("the upstream promises no place of processing"),
    "mcp_servers": Refused("it needs Anthropic's server"),
    "thread": Refused("it needs a conversation that Anthropic stores"),
    "top_k": Refused("it has no counterpart"),
}
REFUSED: Final[dict[Pair, dict[str, Refused]]] = {
    ("openai_chat", "openai_responses"): {
        **_REFUSED_OF_CHAT,
        "stop": Refused("Responses has no stop sequences", ([],)),
    },
    ("openai_chat", "anthropic_messages"): _REFUSED_OF_CHAT,
    ("anthropic_messages", "openai_responses"): {
        **_REFUSED_OF_MESSAGES,
        "stop_sequences": Refused("Responses has no stop sequences", ([],)),
    },
    ("anthropic_messages", "openai_chat"): _REFUSED_OF_MESSAGES,
}


def check(body: Json, pair: Pair) -> None:
    """Raises CannotTranslateError for a field that this pair of formats cannot carry."""
    carried, dropped, refused = CARRIED[pair], DROPPED[pair], REFUSED[pair]
    for name, value in body.items():
        if value is None or name in carried or name in dropped:
            continue
        rule = refused.get(name, Refused("Keyfob does not know this field"))
        if value not in rule.harmless:
            raise refusal(name, pair, rule.why)


def refusal(name: str, pair: Pair, why: str) -> CannotTranslateError:
    """The refusal of a field, with its reason."""
    source, target = pair
    return CannotTranslateError(
        name, f"{name} cannot be translated from {TITLES[source]} to {TITLES[target]}: {why}."
    )


def only(value: Json, known: frozenset[str], field: str, source: Format) -> None:
    """Raises CannotTranslateError for a field of an inner object that is neither known nor dropped."""
    dropped = DROPPED_INSIDE[source]
    for name, each in value.items():
        if each is not None and name not in known and name not in dropped and each not in ([], {}):
            raise CannotTranslateError(
                f"{field}.{name}", f"{field}.{name} cannot be translated: Keyfob does not know this field."
            )
