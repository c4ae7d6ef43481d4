"""The gateway's LLM addresses: the vendors' clients, real accounts and an upstream as strict as theirs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest

from support.llm_clients import claude, codex
from support.llm_rig import LlmRig, llm_rig
from support.llm_server import ACCOUNT
from support.running import until
from support.session import DesktopSession

pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.keychain]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a town",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    },
}
ASKED = 'CALL weather {"town": "Oslo"}'


@pytest.fixture(scope="module")
def shared(session: DesktopSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlmRig]:
    with llm_rig(tmp_path_factory.mktemp("llm"), session) as made:
        yield made


@pytest.fixture
def rig(shared: LlmRig) -> LlmRig:
    shared.api.seen.clear()
    shared.api.statuses.clear()
    shared.api.left.clear()
    shared.api.gap = 0.0
    return shared


@pytest.fixture(scope="module")
def keys(shared: LlmRig) -> dict[str, str]:
    """A key of the gateway for each account."""
    return {provider: shared.key(provider) for provider in shared.accounts}


class Clients:
    """The vendors' clients, closed at the test's end. They try nothing again unless told to."""

    def __init__(self, rig: LlmRig) -> None:
        self._rig = rig
        self._all: list[openai.OpenAI | anthropic.Anthropic] = []

    def openai(self, key: str) -> openai.OpenAI:
        http = httpx.Client(trust_env=False)
        made = openai.OpenAI(base_url=f"{self._rig.url}/v1", api_key=key, http_client=http, max_retries=0)
        self._all.append(made)
        return made

    def anthropic(self, key: str) -> anthropic.Anthropic:
        http = httpx2.Client(trust_env=False)
        made = anthropic.Anthropic(base_url=self._rig.url, api_key=key, http_client=http, max_retries=0)
        self._all.append(made)
        return made

    def close(self) -> None:
        for each in self._all:
            each.close()


@pytest.fixture
def clients(rig: LlmRig) -> Iterator[Clients]:
    made = Clients(rig)
    yield made
    made.close()


# --- Chat on a Codex-like upstream --------------------------------------------------------------------------


def test_openais_client_chats_with_a_backend_that_speaks_responses_alone(
    rig: LlmRig, clients: Clients, keys: dict[str, str]
) -> None:
    made = clients.openai(keys["codex-here"]).chat.completions.create(
        model="gpt-5.5", messages=[{"role": "user", "content": "Reply OK."}], max_completion_tokens=50
    )
    assert made.choices[0].message.content == "OK."
    assert made.choices[0].finish_reason == "stop"
    assert made.usage is not None
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (9, 4)
    path, headers, body = rig.last()
    assert path == "/codex/responses"
    assert (headers["chatgpt-account-id"], headers["originator"]) == (ACCOUNT, "keyfob")
    assert keys["codex-here"] not in str(headers)
    assert (body["stream"], body["store"]) == (True, False)
    assert "max_output_tokens" not in body


def test_openais_client_calls_tools_through_it(clients: Clients, keys: dict[str, str]) -> None:
    client = clients.openai(keys["codex-here"])
    messages: list[Any] = [{"role": "user", "content": ASKED}]
    tools: Any = [WEATHER]
    called = client.chat.completions.create(model="gpt-5.5", messages=messages, tools=tools).choices[0]
    assert called.finish_reason == "tool_calls"
    assert called.message.tool_calls is not None
    (call,) = called.message.tool_calls
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"town": "Oslo"})
    messages += [called.message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    told = client.chat.completions.create(model="gpt-5.5", messages=messages, tools=tools).choices[0]
    assert told.message.content == "The tool said: rain"


def test_openais_client_streams_a_tools_arguments(clients: Clients, keys: dict[str, str]) -> None:
    tools: Any = [WEATHER]
    with clients.openai(keys["codex-here"]).chat.completions.stream(
        model="gpt-5.5", messages=[{"role": "user", "content": ASKED}], tools=tools
    ) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls is not None
    assert json.loads(final.choices[0].message.tool_calls[0].function.arguments) == {"town": "Oslo"}


def test_a_token_that_expires_in_the_middle_is_replaced_once(
    rig: LlmRig, clients: Clients, keys: dict[str, str]
) -> None:
    client = clients.openai(keys["codex-here"])
    renewals = rig.api.renewals
    rig.api.expire()
    made = client.chat.completions.create(model="gpt-5.5", messages=[{"role": "user", "content": "Hello"}])
    assert made.choices[0].message.content == "OK."
    assert rig.api.statuses == [401, 200]
    assert rig.api.renewals == renewals + 1


def test_each_event_leaves_as_it_came(rig: LlmRig, clients: Clients, keys: dict[str, str]) -> None:
    rig.api.gap = 0.1
    stamps = []
    stream = clients.openai(keys["codex-here"]).chat.completions.create(
        model="gpt-5.5", messages=[{"role": "user", "content": "Reply OK."}], stream=True
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            stamps.append(time.monotonic())
    assert len(stamps) == 3
    gaps = [later - earlier for earlier, later in pairwise(stamps)]
    assert all(0.05 < gap < 0.5 for gap in gaps), gaps


def test_a_caller_who_leaves_ends_the_upstreams_stream(
    rig: LlmRig, clients: Clients, keys: dict[str, str]
) -> None:
    rig.api.gap = 0.2
    stream = clients.openai(keys["codex-here"]).chat.completions.create(
        model="gpt-5.5", messages=[{"role": "user", "content": "Reply OK."}], stream=True
    )
    next(iter(stream))
    stream.close()
    until(rig.api.left.is_set, "the upstream to notice")


def test_an_error_in_the_middle_is_raised_by_the_client(
    rig: LlmRig, clients: Clients, keys: dict[str, str]
) -> None:
    rig.api.fail_next = True
    stream = clients.openai(keys["codex-here"]).chat.completions.create(
        model="gpt-5.5", messages=[{"role": "user", "content": "Reply OK."}], stream=True
    )
    with pytest.raises(openai.APIError, match="Rate limit reached"):
        list(stream)


def test_a_stream_that_breaks_off_is_an_error_and_no_end(
    rig: LlmRig, clients: Clients, keys: dict[str, str]
) -> None:
    rig.api.cut_next = True
    stream = clients.openai(keys["codex-here"]).chat.completions.create(
        model="gpt-5.5", messages=[{"role": "user", "content": "Reply OK."}], stream=True
    )
    with pytest.raises(openai.APIError, match="before it was complete"):
        list(stream)


def test_a_limit_passes_with_its_wait(rig: LlmRig, clients: Clients, keys: dict[str, str]) -> None:
    body = {"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached"}}
    rig.api.refuse_next.append((429, body, {"Retry-After": "17", "x-codex-primary-used-percent": "100"}))
    with pytest.raises(openai.RateLimitError, match="usage limit has been reached") as caught:
        clients.openai(keys["codex-here"]).chat.completions.create(
            model="gpt-5.5", messages=[{"role": "user", "content": "Reply OK."}]
        )
    assert caught.value.response.headers["Retry-After"] == "17"
    assert caught.value.response.headers["x-codex-primary-used-percent"] == "100"


# --- the same format: bytes pass ----------------------------------------------------------------------------


def test_in_the_same_format_bytes_pass_unchanged(rig: LlmRig, keys: dict[str, str]) -> None:
    raw = b'{ "model" : "claude-here","max_tokens":5,\n"messages":[{"role":"user","content":"h\\u00e9"}]}'
    headers = {
        "x-api-key": keys["anthropic-here"],
        "anthropic-version": "2099-01-01",
        "anthropic-beta": "a,b",
    }
    answer = httpx.post(
        f"{rig.url}/v1/messages?beta=true",
        content=raw,
        headers={**headers, "Content-Type": "application/json"},
        trust_env=False,
    )
    assert answer.json()["content"] == [{"type": "text", "text": "OK."}]
    assert answer.headers["anthropic-ratelimit-requests-remaining"] == "41"
    path, sent, body = rig.api.seen[-1]
    assert (path, body) == ("/anthropic/v1/messages?beta=true", raw)
    assert (sent["anthropic-version"], sent["anthropic-beta"]) == ("2099-01-01", "a,b")
    assert keys["anthropic-here"] not in str(sent)


def test_anthropics_client_works_through_it(clients: Clients, keys: dict[str, str]) -> None:
    client = clients.anthropic(keys["anthropic-here"])
    words: dict[str, Any] = {
        "model": "claude-here",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "Reply OK."}],
    }
    made = client.messages.create(**words)
    assert made.content[0].type == "text"
    assert made.content[0].text == "OK."
    with client.messages.stream(**words) as stream:
        assert "".join(stream.text_stream) == "OK."
    counted = client.messages.count_tokens(model="claude-here", messages=words["messages"])
    assert counted.input_tokens == 7
    assert [one.id for one in client.models.list()] == ["claude-here"]


def test_openais_client_works_through_it(clients: Clients, keys: dict[str, str]) -> None:
    client = clients.openai(keys["openai-here"])
    chunks = client.chat.completions.create(
        model="gpt-here", messages=[{"role": "user", "content": "Reply OK."}], stream=True
    )
    assert "".join(one.choices[0].delta.content or "" for one in chunks) == "OK."
    assert client.embeddings.create(model="gpt-here", input="a").data[0].embedding == [0.5, 0.25]
    assert [one.id for one in client.models.list()] == ["gpt-here"]


# --- who may call -------------------------------------------------------------------------------------------


def test_a_grant_holds_for_the_path_that_is_called(rig: LlmRig, clients: Clients) -> None:
    """S-63: a key for another path of the account is refused before anything is sent."""
    key = rig.key("openai-here", "--path", "/embeddings")
    client = clients.openai(key)
    assert client.embeddings.create(model="gpt-here", input="a").data
    sent = len(rig.api.seen)
    with pytest.raises(openai.NotFoundError, match="No account that this key may use"):
        client.chat.completions.create(model="gpt-here", messages=[{"role": "user", "content": "a"}])
    assert len(rig.api.seen) == sent


def test_a_wrong_key_is_refused_in_the_callers_format(clients: Clients) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        clients.openai("sk-wrong").chat.completions.create(
            model="gpt-5.5", messages=[{"role": "user", "content": "a"}]
        )
    assert refused.value.code == "authentication_failed"
    with pytest.raises(anthropic.AuthenticationError) as other:
        clients.anthropic("sk-wrong").messages.create(
            model="claude-here", max_tokens=1, messages=[{"role": "user", "content": "a"}]
        )
    assert isinstance(other.value.body, dict)
    assert other.value.body["error"]["type"] == "authentication_error"
    assert other.value.body["code"] == "authentication_failed"


# --- command-line programs ----------------------------------------------------------------------------------


def test_codex_works_through_it_while_its_token_expires(
    rig: LlmRig, keys: dict[str, str], tmp_path: Path
) -> None:
    renewals = rig.api.renewals
    rig.api.expire()
    ran = codex(tmp_path, rig.url, keys["codex-here"], "Reply OK.")
    assert ran.code == 0, ran.err
    assert ran.out.strip() == "OK."
    assert rig.api.renewals == renewals + 1
    assert rig.api.statuses[:2] == [401, 200]


def test_claude_code_works_on_a_backend_that_speaks_responses_alone(
    rig: LlmRig, keys: dict[str, str], tmp_path: Path
) -> None:
    renewals = rig.api.renewals
    rig.api.expire()
    ran = claude(tmp_path, rig.url, keys["codex-here"], "Reply OK.", ANTHROPIC_MODEL="gpt-5.5")
    assert ran.code == 0, ran.out + ran.err
    assert ran.json["result"] == "OK."
    assert rig.api.renewals == renewals + 1
