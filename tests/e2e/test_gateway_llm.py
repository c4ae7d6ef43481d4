"""The gateway's LLM addresses: the vendors' clients, real accounts and an upstream as strict as theirs."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest

from support.llm_clients import claude, codex
from support.llm_rig import LlmRig, llm_rig
from support.llm_server import ACCOUNT, GEMINI_KEY
from support.running import until
from support.session import DesktopSession

pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.keychain]
PAGE = (Path(__file__).parents[2] / "docs/models.md").read_text("utf-8")
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a town",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    },
}
CODEX_CONFIG = """\
model = "gpt-5.5"
model_provider = "keyfob"
[model_providers.keyfob]
name = "Keyfob"
base_url = "{url}/v1"
env_key = "KEYFOB_KEY"
wire_api = "responses"
"""
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
    rig.api.gap = 0.2
    stamps = []
    stream = clients.openai(keys["codex-here"]).chat.completions.create(
        model="gpt-5.5", messages=[{"role": "user", "content": "Reply OK."}], stream=True
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            stamps.append(time.monotonic())
    assert len(stamps) == 3
    gaps = [later - earlier for earlier, later in pairwise(stamps)]
    assert sum(gaps) > rig.api.gap, gaps  # a busy machine may bring two events together, but never all


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


def test_the_codex_backends_models_are_listed_for_every_client(rig: LlmRig, keys: dict[str, str]) -> None:
    found = httpx.get(
        f"{rig.url}/v1/models?client_version=0.169.0",
        headers={"Authorization": f"Bearer {keys['codex-here']}"},
        trust_env=False,
    ).json()
    assert [one["id"] for one in found["data"]] == ["gpt-5.5"]
    assert (found["object"], found["has_more"], found["last_id"]) == ("list", False, "gpt-5.5")


def test_a_limit_passes_with_its_wait(rig: LlmRig, clients: Clients, keys: dict[str, str]) -> None:
    body = {"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached"}}
    rig.api.refuse_next.append((429, body, {"Retry-After": "17", "x-codex-primary-used-percent": "100"}))
    with pytest.raises(openai.RateLimitError, match="usage limit has been reached") as caught:
        clients.openai(keys["codex-here"]).chat.completions.create(
            model="gpt-5.5", messages=[{"role": "user", "content": "Reply OK."}]
        )
    assert caught.value.response.headers["Retry-After"] == "17"
    assert caught.value.response.headers["x-codex-primary-used-percent"] == "100"


def test_a_caller_of_responses_need_not_stream(clients: Clients, keys: dict[str, str]) -> None:
    client = clients.openai(keys["codex-here"])
    made = client.responses.create(model="gpt-5.5", input="Reply OK.", max_output_tokens=20)
    assert (made.output_text, made.status) == ("OK.", "completed")
    assert made.usage is not None
    assert made.usage.total_tokens == 13
    with client.responses.stream(model="gpt-5.5", input="Reply OK.") as stream:
        kinds = [event.type for event in stream]
    assert kinds[-1] == "response.completed"
    assert kinds.count("response.output_text.delta") == 3


# --- Messages on a Codex-like upstream ----------------------------------------------------------------------


def test_anthropics_client_calls_tools_on_a_backend_that_speaks_responses_alone(
    rig: LlmRig, clients: Clients, keys: dict[str, str]
) -> None:
    client = clients.anthropic(keys["codex-here"])
    tool = {"name": "weather", "input_schema": WEATHER["function"]["parameters"]}
    messages: list[Any] = [{"role": "user", "content": ASKED}]
    words: dict[str, Any] = {"model": "gpt-5.5", "max_tokens": 50, "tools": [tool]}
    called = client.messages.create(messages=messages, **words)
    assert called.stop_reason == "tool_use"
    use = called.content[-1]
    assert use.type == "tool_use"
    assert (use.name, use.input) == ("weather", {"town": "Oslo"})
    with client.messages.stream(messages=messages, **words) as stream:
        streamed = stream.get_final_message()
    assert (streamed.stop_reason, streamed.content[-1]) == ("tool_use", use)
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "rain"}
    messages += [{"role": "assistant", "content": called.content}, {"role": "user", "content": [result]}]
    told = client.messages.create(messages=messages, **words)
    assert told.content[0].type == "text"
    assert told.content[0].text == "The tool said: rain"
    assert rig.last()[0] == "/codex/responses"


def test_an_error_in_the_middle_is_one_of_anthropics(
    rig: LlmRig, clients: Clients, keys: dict[str, str]
) -> None:
    rig.api.fail_next = True
    words: Any = {"model": "gpt-5.5", "max_tokens": 5, "messages": [{"role": "user", "content": "a"}]}
    client = clients.anthropic(keys["codex-here"])
    with pytest.raises(anthropic.APIStatusError, match="Rate limit reached"):
        list(client.messages.create(stream=True, **words))
    rig.api.fail_next = True
    with pytest.raises(anthropic.RateLimitError, match="Rate limit reached"):
        client.messages.create(**words)


def test_what_cannot_be_translated_is_refused_by_its_name(
    rig: LlmRig, clients: Clients, keys: dict[str, str]
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        clients.openai(keys["codex-here"]).chat.completions.create(
            model="gpt-5.5", n=2, messages=[{"role": "user", "content": "a"}]
        )
    assert refused.value.param == "n"
    assert not rig.api.seen


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
    assert (sent["anthropic-version"], sent["anthropic-beta"]) == ("2099-01-01", "a,b,of-the-preset")
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


def test_openais_format_has_the_key_as_bearer_at_every_vendor(
    rig: LlmRig, clients: Clients, keys: dict[str, str]
) -> None:
    made = clients.openai(keys["gemini-here"]).chat.completions.create(
        model="gemini", messages=[{"role": "user", "content": "Reply OK."}]
    )
    assert made.choices[0].message.content == "OK."
    path, headers, _ = rig.last()
    assert (path, headers["Authorization"]) == ("/gemini/openai/chat/completions", f"Bearer {GEMINI_KEY}")


def test_unchanged_events_leave_as_they_came_until_the_caller_leaves(
    rig: LlmRig, clients: Clients, keys: dict[str, str]
) -> None:
    rig.api.gap = 0.2
    stream = clients.openai(keys["openai-here"]).chat.completions.create(
        model="gpt-here", messages=[{"role": "user", "content": "Reply OK."}], stream=True
    )
    stamps = [time.monotonic() for _, _ in zip(range(4), stream, strict=False)]
    gaps = [later - earlier for earlier, later in pairwise(stamps)]
    assert sum(gaps) > rig.api.gap, gaps  # a busy machine may bring two events together, but never all
    stream.close()
    until(rig.api.left.is_set, "the upstream to notice")


def test_a_body_that_cannot_be_read_is_refused(rig: LlmRig, keys: dict[str, str]) -> None:
    """S-53: what the gateway reads is what the upstream reads."""
    headers = {"Authorization": f"Bearer {keys['openai-here']}", "Content-Type": "application/json"}
    for body, more, status, word in (
        (b"\x1f\x8b", {"Content-Encoding": "gzip"}, 415, "compressed"),
        (b'{"model": "a", "model": "b"}', {}, 400, "twice"),
        (b'{"messages": []}', {}, 400, "model"),
        (b" " * (33 << 20), {}, 413, "32 MB"),
    ):
        answer = httpx.post(
            f"{rig.url}/v1/chat/completions",
            content=body,
            headers=headers | more,
            trust_env=False,
            timeout=30,
        )
        assert (answer.status_code, word in answer.json()["error"]["message"]) == (status, True), answer.text
    assert httpx.get(f"{rig.url}/v1/messages", headers=headers, trust_env=False).status_code == 405
    assert not rig.api.seen


def test_a_refused_key_is_refused_in_the_providers_words(
    rig: LlmRig, clients: Clients, keys: dict[str, str]
) -> None:
    body = {"error": {"message": "This key was deleted", "type": "invalid_request_error", "code": "gone"}}
    rig.api.refuse_next.append((401, body, {}))
    words: Any = {"model": "gpt-here", "messages": [{"role": "user", "content": "a"}]}
    client = clients.openai(keys["openai-here"])
    with pytest.raises(openai.AuthenticationError, match="This key was deleted"):
        client.chat.completions.create(**words)
    assert client.chat.completions.create(**words).choices[0].message.content == "OK."
    assert rig.api.statuses == [401, 200]


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


def test_the_operator_needs_no_grant_and_no_table(rig: LlmRig) -> None:
    key = "sk-of-the-operator"
    process = rig.bench.processes.start(
        ["keyfob", "serve", "--port", "0"], rig.bench.env | {"KEYFOB_GATEWAY_KEY": key}
    )
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("Listening on ").strip()
    own = Clients(LlmRig(rig.bench, rig.api, url))
    try:
        made = own.anthropic(key).messages.create(
            model="claude-here", max_tokens=5, messages=[{"role": "user", "content": "Reply OK."}]
        )
        assert made.content[0].type == "text"
        with pytest.raises(openai.BadRequestError) as several:
            own.openai(key).chat.completions.create(
                model="gpt-here", messages=[{"role": "user", "content": "Reply OK."}]
            )
        metrics = httpx.get(
            f"{url}/metrics", headers={"Authorization": f"Bearer {key}"}, trust_env=False
        ).text
    finally:
        own.close()
        process.terminate()
        process.wait(60)
    assert several.value.code == "account_ambiguous"
    account = rig.accounts["anthropic-here"]
    assert f'keyfob_gateway_requests_total{{account="{account}",status="200"}} 1.0' in metrics


def test_terms_that_forbid_sharing_are_named(rig: LlmRig, clients: Clients) -> None:
    preset = rig.bench.keyfob_home / "config" / "providers" / "codex-here.toml"
    text = preset.read_text()
    key = rig.key("codex-here")
    try:
        preset.write_text(text + '[policy]\nshare = false\nshare_reason = "The terms forbid it"\n')
        time.sleep(1.1)  # the gateway looks once a second
        with pytest.raises(openai.PermissionDeniedError, match="The terms forbid it") as refused:
            clients.openai(key).chat.completions.create(
                model="gpt-5.5", messages=[{"role": "user", "content": "a"}]
            )
    finally:
        preset.write_text(text)
    assert refused.value.code == "sharing_not_allowed"
    assert not rig.api.seen


def test_an_account_that_needs_its_owner_says_so_in_both_formats(
    session: DesktopSession, tmp_path: Path
) -> None:
    with llm_rig(tmp_path, session) as rig:
        key = rig.key("codex-here")
        rig.api.expire()
        rig.api.ended = True
        rig.api.statuses.clear()
        own = Clients(rig)
        words: Any = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "a"}]}
        with pytest.raises(openai.AuthenticationError, match="keyfob reconnect") as refused:
            own.openai(key).chat.completions.create(**words)
        assert refused.value.code == "sign_in_needed"
        with pytest.raises(anthropic.AuthenticationError, match="keyfob reconnect") as other:
            own.anthropic(key).messages.create(max_tokens=5, **words)
        own.close()
        assert isinstance(other.value.body, dict)
        assert other.value.body["code"] == other.value.body["error"]["code"] == "sign_in_needed"
        assert rig.api.statuses == [401], "an expired token is never sent again"


def test_a_websocket_is_refused_so_that_codex_goes_on_without(rig: LlmRig, keys: dict[str, str]) -> None:
    headers = {
        "Authorization": f"Bearer {keys['codex-here']}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    assert httpx.get(f"{rig.url}/v1/responses", headers=headers, trust_env=False).status_code == 426


# --- the model table ----------------------------------------------------------------------------------------


@pytest.fixture
def table(rig: LlmRig) -> Iterator[Path]:
    """A few models, for as long as the test runs."""
    path = rig.bench.keyfob_home / "config" / "models.yaml"
    for words in (
        ("fast", rig.accounts["codex-here"], "--model", "gpt-5.5"),
        ("claude-*", rig.accounts["anthropic-here"]),
        ("gpt-here", rig.accounts["openai-here"]),
        ("or/*", rig.accounts["openai-here"], "--model", "*"),
    ):
        done = rig.bench.keyfob("models", "add", *words)
        assert done.code == 0, done.err
    time.sleep(1.1)  # the gateway looks once a second
    yield path
    path.unlink()
    time.sleep(1.1)


@pytest.mark.usefixtures("table")
def test_the_table_names_account_and_model(rig: LlmRig, clients: Clients) -> None:
    made = rig.bench.keyfob("keys", "create", "--user", "anna", "--json")
    assert made.code == 0, made.err
    key, key_id = made.json["key"], made.json["key_id"]
    for account in (rig.accounts["codex-here"], rig.accounts["anthropic-here"]):
        done = rig.bench.keyfob("grants", "create", account, "--for", f"key:{key_id}")
        assert done.code == 0, done.err
    time.sleep(1.0)
    client = clients.openai(key)
    for model in ("fast", "claude-x"):
        chat = client.chat.completions.create(
            model=model, max_tokens=20, messages=[{"role": "user", "content": "Reply OK."}]
        )
        assert chat.choices[0].message.content == "OK."
    assert [path for path, _, _ in rig.api.seen] == ["/codex/responses", "/anthropic/v1/messages"]
    assert [json.loads(body)["model"] for _, _, body in rig.api.seen] == ["gpt-5.5", "claude-x"]
    # A model of an account that this key may not use is not in its list.
    assert [one.id for one in client.models.list()] == ["fast"]
    assert client.models.retrieve("fast").id == "fast"
    with pytest.raises(openai.PermissionDeniedError) as hidden:
        client.chat.completions.create(model="gpt-here", messages=[{"role": "user", "content": "a"}])
    assert hidden.value.code == "not_granted"
    with pytest.raises(openai.NotFoundError, match="not in the gateway's model table"):
        client.chat.completions.create(model="other", messages=[{"role": "user", "content": "a"}])
    listed = rig.bench.keyfob("models", "list")
    assert "claude-*" in listed.out


@pytest.mark.usefixtures("table")
def test_only_the_models_name_changes_in_the_same_format(rig: LlmRig, keys: dict[str, str]) -> None:
    raw = b'{"messages": [{"role":"user", "content":"a"}],  "model" :"or/qwen/3" }'
    headers = {"Authorization": f"Bearer {keys['openai-here']}", "Content-Type": "application/json"}
    answer = httpx.post(f"{rig.url}/v1/chat/completions", content=raw, headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text
    assert rig.api.seen[-1][2] == raw.replace(b"or/qwen/3", b"qwen/3")


def test_without_a_table_several_accounts_are_named(rig: LlmRig, clients: Clients) -> None:
    made = rig.bench.keyfob("keys", "create", "--user", "anna", "--json")
    for account in (rig.accounts["anthropic-here"], rig.accounts["codex-here"], rig.accounts["openai-here"]):
        rig.bench.keyfob("grants", "create", account, "--for", f"key:{made.json['key_id']}")
    client = clients.openai(made.json["key"])
    time.sleep(1.0)
    words: Any = {"messages": [{"role": "user", "content": "Reply OK."}]}
    assert client.chat.completions.create(model="gpt-here", **words).choices[0].message.content == "OK."
    preset = rig.bench.keyfob_home / "config" / "providers" / "openai-here.toml"
    text = preset.read_text()
    try:
        preset.write_text(
            text.replace("openai_chat =", "openai_responses =").replace(
                'drop = ["formats.openai_responses"]', 'drop = ["formats.openai_chat"]'
            )
        )
        with pytest.raises(openai.BadRequestError, match="keyfob models add") as refused:
            client.chat.completions.create(model="gpt-here", **words)
    finally:
        preset.write_text(text)
    assert refused.value.code == "account_ambiguous"
    assert rig.accounts["codex-here"] in str(refused.value)


# --- command-line programs ----------------------------------------------------------------------------------


def of_claude(rig: LlmRig, key: str, **more: str) -> dict[str, str]:
    """Its settings, as environment variables."""
    return {"ANTHROPIC_BASE_URL": rig.url, "ANTHROPIC_AUTH_TOKEN": key, **more}


def test_codex_works_through_it_while_its_token_expires(
    rig: LlmRig, keys: dict[str, str], tmp_path: Path
) -> None:
    renewals = rig.api.renewals
    rig.api.expire()
    config = CODEX_CONFIG.format(url=rig.url)
    ran = codex(tmp_path, config, "Reply OK.", KEYFOB_KEY=keys["codex-here"])
    assert ran.code == 0, ran.err
    assert ran.out.strip() == "OK."
    assert rig.api.renewals == renewals + 1
    assert rig.api.statuses[:2] == [401, 200]


def test_codex_uses_its_tools_through_it(rig: LlmRig, keys: dict[str, str], tmp_path: Path) -> None:
    config = CODEX_CONFIG.format(url=rig.url)
    asked = 'CALL exec_command {"cmd": "echo $((6 * 7))"}'
    # Its own sandbox needs more rights than tests have.
    ran = codex(tmp_path, config, "--sandbox", "danger-full-access", asked, KEYFOB_KEY=keys["codex-here"])
    assert ran.code == 0, ran.err
    assert re.search(r"The tool said: .*\n42\b", ran.out, re.DOTALL), ran.out
    last = rig.last()[2]["input"][-1]
    assert (last["type"], last["call_id"]) == ("function_call_output", "call_1")


def test_codexs_own_provider_goes_on_without_a_websocket(
    rig: LlmRig, keys: dict[str, str], tmp_path: Path
) -> None:
    config = f'model = "gpt-5.5"\nopenai_base_url = "{rig.url}/v1"\n'
    ran = codex(tmp_path, config, "Reply OK.", CODEX_API_KEY=keys["codex-here"])
    assert ran.code == 0, ran.err
    assert ran.out.strip() == "OK."
    assert {path for path, _, _ in rig.api.seen} == {"/codex/responses"}
    assert ran.seconds < 20, "a status other than 426 makes it try again for some time"


def test_claude_code_works_on_a_backend_that_speaks_responses_alone(
    rig: LlmRig, keys: dict[str, str], tmp_path: Path
) -> None:
    renewals = rig.api.renewals
    rig.api.expire()
    ran = claude(tmp_path, "Reply OK.", **of_claude(rig, keys["codex-here"], ANTHROPIC_MODEL="gpt-5.5"))
    assert ran.code == 0, ran.out + ran.err
    assert ran.json["result"] == "OK."
    assert rig.api.renewals == renewals + 1


def test_claude_code_uses_its_tools_on_it(rig: LlmRig, keys: dict[str, str], tmp_path: Path) -> None:
    note = tmp_path / "work" / "note.txt"
    note.parent.mkdir()
    note.write_text("the word is heron")
    asked = f"CALL Read {json.dumps({'file_path': str(note)})}"
    ran = claude(tmp_path, asked, **of_claude(rig, keys["codex-here"], ANTHROPIC_MODEL="gpt-5.5"))
    assert ran.code == 0, ran.out + ran.err
    assert "the word is heron" in ran.json["result"]


def test_claude_code_works_on_messages_too(rig: LlmRig, keys: dict[str, str], tmp_path: Path) -> None:
    ran = claude(tmp_path, "Reply OK.", **of_claude(rig, keys["anthropic-here"]))
    assert ran.code == 0, ran.out + ran.err
    assert ran.json["result"] == "OK."
    assert {path for path, _, _ in rig.api.seen} == {"/anthropic/v1/messages?beta=true"}


# --- docs/models.md -----------------------------------------------------------------------------------------


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def page_rig(rig: LlmRig) -> Iterator[tuple[LlmRig, str]]:
    """The page's model table over our accounts, and a key for both."""
    (text,) = blocks("yaml")
    accounts = {"openai-codex/you": "codex-here", "anthropic/key": "anthropic-here"}
    made = rig.bench.keyfob("keys", "create", "--user", "page", "--json").json
    for named, provider in accounts.items():
        assert named in text
        text = text.replace(named, rig.accounts[provider])
        done = rig.bench.keyfob("grants", "create", rig.accounts[provider], "--for", f"key:{made['key_id']}")
        assert done.code == 0, done.err
    path = rig.bench.keyfob_home / "config" / "models.yaml"
    path.write_text(text)
    time.sleep(1.1)  # the gateway looks once a second
    yield rig, made["key"]
    path.unlink()
    time.sleep(1.1)


def as_here(text: str, rig: LlmRig, key: str) -> str:
    """The page's text with the gateway and the key of this test."""
    return text.replace("http://127.0.0.1:2026", rig.url).replace("sk-…", key)


def test_the_pages_examples_work(page_rig: tuple[LlmRig, str], tmp_path: Path) -> None:
    rig, key = page_rig
    sections = dict(re.findall(r"^### (.*?)\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL))
    settings = {
        name: dict(re.findall(r"^    export (\w+)=(\S+)$", as_here(text, rig, key), re.MULTILINE))
        for name, text in sections.items()
    }
    said = {}
    for name, program in zip(("The openai SDK", "The anthropic SDK"), blocks("python"), strict=True):
        env = {"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1", **settings[name]}
        done = subprocess.run(
            [sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        said[name] = done.stdout.strip()
    (config,) = blocks("toml")
    assert "    codex exec 'Reply OK.'\n" in sections["Codex"]
    ran = codex(tmp_path, as_here(config, rig, key), "Reply OK.", **settings["Codex"])
    assert ran.code == 0, ran.err
    said["Codex"] = ran.out.strip()
    assert "    claude -p 'Reply OK.'\n" in sections["Claude Code"]
    said["Claude Code"] = claude(tmp_path, "Reply OK.", **settings["Claude Code"]).json["result"]
    assert said == dict.fromkeys((name for name in sections if settings[name]), "OK.")
    assert {path for path, _, _ in rig.api.seen} == {"/codex/responses"}


def test_the_pages_commands_work(rig: LlmRig) -> None:
    (commands,) = re.findall(r"^## Choose the account\n\n(.*?)\n\n", PAGE, re.MULTILINE | re.DOTALL)
    for line in commands.splitlines():
        words = [
            {"openai-codex/you": rig.accounts["codex-here"], "anthropic/key": rig.accounts["anthropic-here"]}
            .get(word, word)
            for word in shlex.split(line)[1:]
        ]  # fmt: skip
        ran = rig.bench.keyfob(*words)
        assert ran.code == 0, ran.err
    assert "claude-*" in ran.out
    for name in ("fast", "gpt-*", "claude-*"):
        assert rig.bench.keyfob("models", "remove", name).code == 0
    (rig.bench.keyfob_home / "config" / "models.yaml").unlink()
