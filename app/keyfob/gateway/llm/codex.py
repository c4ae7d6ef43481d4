"""What the Codex channel of ChatGPT asks of a request beyond the Responses format."""

from __future__ import annotations

from typing import Final

from keyfob.gateway.llm.formats import Json

# Refused by the channel, or of no use: nothing is stored there.
NOT_SENT: Final = (
    "max_output_tokens",
    "metadata",
    "previous_response_id",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "temperature",
    "top_p",
    "truncation",
    "user",
)
_INSTRUCTIONS: Final = "You are a helpful assistant."


def codex_request(body: Json) -> Json:
    """The Responses request as the channel takes it; the answer is always a stream."""
    sent = {name: value for name, value in body.items() if name not in NOT_SENT}
    sent["stream"] = True
    sent["store"] = False
    if not sent.get("instructions"):
        sent["instructions"] = _INSTRUCTIONS
    if isinstance(sent.get("input"), str):
        content = [{"type": "input_text", "text": sent["input"]}]
        sent["input"] = [{"type": "message", "role": "user", "content": content}]
    sent["input"] = [_as_developer(item) for item in sent.get("input") or ()]
    wanted = list(sent.get("include") or ())
    if "reasoning.encrypted_content" not in wanted:
        wanted.append("reasoning.encrypted_content")
    sent["include"] = wanted
    reasoning = sent.get("reasoning")
    if isinstance(reasoning, dict) and reasoning.get("effort") == "minimal":
        sent["reasoning"] = {**reasoning, "effort": "low"}
    return sent


def _as_developer(item: object) -> object:
    """The channel knows no system messages; those of a developer are the same."""
    if isinstance(item, dict) and item.get("role") == "system":
        return {**item, "role": "developer"}
    return item
