"""An upstream for the gateway's LLM addresses, as strict as the vendors' own, and the sign-in for it.

`/codex` is like ChatGPT's backend: Responses alone, always streamed, `store` false, the account's id in a
header, no field that it does not know. `/anthropic/v1` is like Anthropic's API, `/openai/v1` like OpenAI's,
and `/gemini` like Google's: OpenAI's format has the key as Bearer there, and the rest in another header.
`/oauth` signs in without a page: access tokens are JWTs, and `expire()` ends all that were issued so far.

The model says `OK.` A user's message `CALL name {"json": 1}` makes it call that tool, if the request has it,
and say what the tool answered in the next turn.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import jwt
from aiohttp import web

ACCOUNT = "acct-0123"
SECRET = "a secret that signs the tokens of this server"
ANTHROPIC_KEY = "sk-ant-api03-of-the-tests"
OPENAI_KEY = "sk-of-the-tests"
GEMINI_KEY = "AQ.of-the-tests"
CLAIM = "https://api.openai.com/auth"
_CODEX_FIELDS = {
    "model", "instructions", "input", "tools", "tool_choice", "parallel_tool_calls", "reasoning",
    "store", "stream", "include", "prompt_cache_key", "text", "service_tier", "client_metadata",
}  # fmt: skip
_MESSAGES_FIELDS = {
    "model", "max_tokens", "messages", "system", "tools", "tool_choice", "stop_sequences", "stream",
    "metadata", "thinking", "output_config", "service_tier", "context_management",
}  # fmt: skip
_TOOLS = {"function", "custom", "web_search", "tool_search", "local_shell", "namespace"}
_CHALLENGE = "<!DOCTYPE html><title>Just a moment...</title>"


class Refused(Exception):
    def __init__(self, status: int, body: object) -> None:
        super().__init__(str(body))
        self.status, self.body = status, body


class LlmServer:
    """Serves while in `with`. `gap`: seconds between two events of a stream."""

    def __init__(self, gap: float = 0.0) -> None:
        self.gap = gap
        self.seen: list[tuple[str, dict[str, str], bytes]] = []  # path, headers, body
        self.statuses: list[int] = []
        self.renewals = 0
        self.ended = False  # the sign-in, at the provider
        self.refuse_next: list[tuple[int, dict[str, Any], dict[str, str]]] = []
        self.cut_next = False  # the next stream breaks off in the middle
        self.fail_next = False  # the next stream reports a failure
        self.left = threading.Event()  # a caller left in the middle of a stream
        self.port = 0
        self._valid_from = 0
        self._number = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def expire(self) -> None:
        """No token that was issued until now is taken any more."""
        self._valid_from = self._number + 1

    def __enter__(self) -> LlmServer:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_get("/oauth/authorize", self._authorize)
        app.router.add_post("/oauth/token", self._token)
        app.router.add_route("*", "/{path:.*}", self._guarded)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    # --- signing in ---------------------------------------------------------------------------------------

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        asked = request.query
        back = f"{asked['redirect_uri']}?{urlencode({'code': 'the-code', 'state': asked['state']})}"
        return web.Response(status=302, headers={"Location": back})

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        if form["grant_type"] == "refresh_token":
            if self.ended:
                return web.json_response({"error": "invalid_grant"}, status=400)
            self.renewals += 1
        self._number += 1
        now = int(time.time())
        claims = {
            "sub": "alice",
            "name": "Alice",
            "number": self._number,
            "iat": now,
            "exp": now + 3600,
            CLAIM: {"chatgpt_account_id": ACCOUNT},
        }
        return web.json_response(
            {
                "access_token": jwt.encode(claims, SECRET, algorithm="HS256"),
                "refresh_token": f"refresh-{self._number}",
                "token_type": "Bearer",
                "expires_in": 3600,
            }
        )

    def _is_signed_in(self, request: web.Request) -> bool:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            claims = jwt.decode(token, SECRET, algorithms=["HS256"])
        except jwt.PyJWTError:
            return False
        return int(claims["number"]) >= self._valid_from

    # --- what all have ------------------------------------------------------------------------------------

    async def _guarded(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append((request.raw_path, dict(request.headers), body))
        try:
            made = await self._answered(request, body)
        except Refused as refused:
            made = (
                web.Response(status=refused.status, text=refused.body, content_type="text/html")
                if isinstance(refused.body, str)
                else web.json_response(refused.body, status=refused.status)
            )
        except (ConnectionError, asyncio.CancelledError):
            self.left.set()
            raise
        self.statuses.append(made.status)
        return made

    async def _answered(self, request: web.Request, raw: bytes) -> web.StreamResponse:
        if request.content_length is not None and request.headers.get("Content-Type") != "application/json":
            raise Refused(415, {"detail": "Unsupported media type"})
        if self.refuse_next:
            status, answer, headers = self.refuse_next.pop(0)
            return web.json_response(answer, status=status, headers=headers)
        body = json.loads(raw) if raw else {}
        match request.path:
            case "/codex/responses" if request.method == "POST":
                return await self._codex(request, body)
            case "/codex/models" if self._is_signed_in(request) and request.query.get("client_version"):
                return web.json_response({"models": [{"slug": "gpt-5.5", "display_name": "GPT-5.5"}]})
            case "/codex/usage" if self._is_signed_in(request):
                return web.json_response({"plan_type": "plus"})
            case "/anthropic/v1/messages" if request.method == "POST":
                return await self._messages(request, body)
            case "/openai/v1/chat/completions" if request.method == "POST":
                return await self._chat(request, body)
            case "/gemini/openai/chat/completions" if "x-goog-api-key" not in request.headers:
                return await self._chat(request, body, GEMINI_KEY)
        return _small(request, body)

    async def _stream(
        self,
        request: web.Request,
        events: list[tuple[str | None, dict[str, Any] | str]],
        headers: dict[str, str],
    ) -> web.StreamResponse:
        made = web.StreamResponse(headers=headers)
        if "Content-Type" not in headers:
            made.headers["Content-Type"] = ""  # aiohttp would put its own
        await made.prepare(request)
        for number, (name, data) in enumerate(events):
            if self.cut_next and number == 4:
                self.cut_next = False
                assert request.transport is not None
                request.transport.abort()
                return made
            head = f"event: {name}\n" if name else ""
            text = data if isinstance(data, str) else json.dumps(data)
            await made.write(f"{head}data: {text}\n\n".encode())
            if self.gap:
                await asyncio.sleep(self.gap)
        await made.write_eof()
        return made

    # --- like ChatGPT's backend ---------------------------------------------------------------------------

    async def _codex(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        headers = request.headers
        if (
            headers.get("chatgpt-account-id") != ACCOUNT
            or "User-Agent" not in headers
            or "originator" not in headers
        ):
            raise Refused(403, _CHALLENGE)
        if not self._is_signed_in(request):
            raise Refused(401, {"detail": "Unauthorized"})
        if body.get("stream") is not True:
            raise Refused(400, {"detail": "Stream must be set to true"})
        if body.get("store") is not False:
            raise Refused(400, {"detail": "Store must be set to false"})
        if not body.get("instructions"):
            raise Refused(400, {"detail": "Instructions are required"})
        for name in sorted(body.keys() - _CODEX_FIELDS):
            raise Refused(400, {"detail": f"Unsupported parameter: {name}"})
        if body.get("model") != "gpt-5.5":
            name = body.get("model")
            detail = f"The '{name}' model is not supported when using Codex with a ChatGPT account."
            raise Refused(400, {"detail": detail})
        _check_tools(body)
        _check_input(body["input"])
        limits = {"x-codex-primary-used-percent": "12", "x-request-id": "req_1"}
        return await self._stream(request, _response_events(body, failed=self._fails()), limits)

    def _fails(self) -> bool:
        fails, self.fail_next = self.fail_next, False
        return fails

    # --- like Anthropic's and OpenAI's APIs ---------------------------------------------------------------

    async def _messages(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        _anthropic_key(request)
        for name in sorted(body.keys() - _MESSAGES_FIELDS):
            raise Refused(
                400, _anthropic_error("invalid_request_error", f"{name}: Extra inputs are not permitted")
            )
        limits = {"anthropic-ratelimit-requests-remaining": "41", "request-id": "req_a"}
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 3, "output_tokens": 1},
        }
        block = {"type": "text", "text": "OK."}
        if not body.get("stream"):
            whole = {**message, "content": [block], "stop_reason": "end_turn"}
            return web.json_response(whole, headers=limits)
        events: list[tuple[str | None, dict[str, Any] | str]] = [
            (data["type"], data)
            for data in (
                {"type": "message_start", "message": message},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                *(
                    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": one}}
                    for one in ("O", "K", ".")
                ),
                {"type": "content_block_stop", "index": 0},
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                    "usage": {"output_tokens": 3},
                },
                {"type": "message_stop"},
            )
        ]
        return await self._stream(request, events, {"Content-Type": "text/event-stream", **limits})

    async def _chat(
        self, request: web.Request, body: dict[str, Any], key: str = OPENAI_KEY
    ) -> web.StreamResponse:
        _openai_key(request, key)
        base = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
        usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        limits = {"x-ratelimit-remaining-requests": "42"}
        if not body.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": "OK."}, "finish_reason": "stop"}
            whole = {**base, "object": "chat.completion", "choices": [choice], "usage": usage}
            return web.json_response(whole, headers=limits)
        events: list[tuple[str | None, dict[str, Any] | str]] = [
            (
                None,
                {
                    **base,
                    "object": "chat.completion.chunk",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
                },
            )
            for delta, reason in (
                ({"role": "assistant", "content": ""}, None),
                ({"content": "O"}, None),
                ({"content": "K"}, None),
                ({"content": "."}, None),
                ({}, "stop"),
            )
        ]
        return await self._stream(
            request, [*events, (None, "[DONE]")], {"Content-Type": "text/event-stream", **limits}
        )


def _small(request: web.Request, body: dict[str, Any]) -> web.Response:
    """What is no conversation."""
    match request.path:
        case "/gemini/models" if request.headers.get("x-goog-api-key") == GEMINI_KEY:
            return web.json_response({"models": []})
        case "/openai/v1/embeddings":
            _openai_key(request)
            return web.json_response(
                {
                    "object": "list",
                    "model": body["model"],
                    "usage": {"prompt_tokens": 1, "total_tokens": 1},
                    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}],
                }
            )
        case "/openai/v1/models":
            _openai_key(request)
            row = {"id": "gpt-here", "object": "model", "created": 1, "owned_by": "openai"}
            return web.json_response({"object": "list", "data": [row]})
        case "/anthropic/v1/models":
            _anthropic_key(request)
            row = {
                "id": "claude-here",
                "type": "model",
                "display_name": "Claude",
                "created_at": "2026-01-01T00:00:00Z",
            }
            return web.json_response(
                {"data": [row], "has_more": False, "first_id": row["id"], "last_id": row["id"]}
            )
        case "/anthropic/v1/messages/count_tokens":
            _anthropic_key(request)
            return web.json_response({"input_tokens": 7})
    raise Refused(404, {"detail": "Not Found"})


def _anthropic_error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_a"}


def _anthropic_key(request: web.Request) -> None:
    if "anthropic-version" not in request.headers:
        raise Refused(400, _anthropic_error("invalid_request_error", "anthropic-version: header is required"))
    if request.headers.get("x-api-key") != ANTHROPIC_KEY or "Authorization" in request.headers:
        raise Refused(401, _anthropic_error("authentication_error", "invalid x-api-key"))


def _openai_key(request: web.Request, key: str = OPENAI_KEY) -> None:
    if request.headers.get("Authorization") != f"Bearer {key}":
        error = {
            "message": "Incorrect API key provided",
            "type": "invalid_request_error",
            "code": "invalid_api_key",
        }
        raise Refused(401, {"error": error})


# --- Responses ----------------------------------------------------------------------------------------------


def _check_tools(body: dict[str, Any]) -> None:
    for tool in body.get("tools", ()):
        if tool.get("type") not in _TOOLS:
            raise Refused(400, {"detail": f"Unsupported tool type: {tool.get('type')}"})
        if tool["type"] == "function" and not {"name", "parameters"} <= tool.keys():
            raise Refused(400, {"detail": "Missing required parameter: tools[].parameters"})


def _check_input(items: object) -> None:
    if not isinstance(items, list):
        raise Refused(400, {"detail": "Input must be a list"})
    calls: set[str] = set()
    answered: set[str] = set()
    for item in items:
        match item.get("type", "message"):
            case "message":
                if item.get("role") not in ("user", "assistant", "developer"):
                    raise Refused(400, {"detail": "System messages are not allowed"})
                wanted = "output_text" if item["role"] == "assistant" else "input_text"
                for part in item["content"]:
                    if part["type"] not in (wanted, "input_image", "refusal"):
                        raise Refused(400, {"detail": f"Invalid value: '{part['type']}'"})
            case "function_call" | "custom_tool_call":
                calls.add(item["call_id"])
            case "function_call_output" | "custom_tool_call_output":
                if item["call_id"] not in calls:
                    raise Refused(400, {"detail": f"No tool call found for {item['call_id']}"})
                answered.add(item["call_id"])
            case "reasoning":
                pass
            case other:
                raise Refused(400, {"detail": f"Invalid input item: {other}"})
    for missing in sorted(calls - answered):
        raise Refused(400, {"detail": f"No tool output found for function call {missing}"})


def _texts(item: dict[str, Any]) -> str:
    content = item.get("content") or item.get("output") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _reply(body: dict[str, Any]) -> dict[str, Any]:
    """The item that the model answers with."""
    last = body["input"][-1]
    if last.get("type") == "function_call_output":
        return _message(f"The tool said: {_texts(last)}")
    asked = re.search(r"CALL (\w+) (\{.*\})", "".join(map(_texts, body["input"])))
    named = {tool.get("name") for tool in body.get("tools", ())}
    if asked and asked[1] in named:
        return {
            "id": "fc_1",
            "type": "function_call",
            "status": "completed",
            "call_id": "call_1",
            "name": asked[1],
            "arguments": asked[2],
        }
    return _message("OK.")


def _message(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}


def _response_events(body: dict[str, Any], *, failed: bool) -> list[tuple[str | None, dict[str, Any] | str]]:
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "in_progress",
        "model": body["model"],
        "output": [],
    }
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 2},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 13,
    }
    item = _reply(body)
    at: dict[str, Any] = {"output_index": 0, "item_id": item["id"]}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response},
        {"type": "response.in_progress", "response": response},
    ]
    if item["type"] == "message":
        text = item["content"][0]["text"]
        part = {"content_index": 0, **at}
        events += [
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": {**item, "status": "in_progress", "content": []},
            },
            {"type": "response.content_part.added", **part, "part": {**item["content"][0], "text": ""}},
            *({"type": "response.output_text.delta", **part, "delta": one} for one in text),
            {"type": "response.output_text.done", **part, "text": text},
            {"type": "response.content_part.done", **part, "part": item["content"][0]},
        ]
    else:
        events += [
            {"type": "response.output_item.added", "output_index": 0, "item": {**item, "arguments": ""}},
            *(
                {"type": "response.function_call_arguments.delta", **at, "delta": one}
                for one in item["arguments"]
            ),
            {"type": "response.function_call_arguments.done", **at, "arguments": item["arguments"]},
        ]
    events.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    if failed:
        error = {"code": "rate_limit_exceeded", "message": "Rate limit reached, try again in 1s"}
        events = events[:4]
        events.append(
            {"type": "response.failed", "response": {**response, "status": "failed", "error": error}}
        )
    else:
        events.append(
            {"type": "response.completed", "response": {**response, "status": "completed", "usage": usage}}
        )
    return [(data["type"], {**data, "sequence_number": number}) for number, data in enumerate(events)]
