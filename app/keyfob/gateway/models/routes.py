"""The handlers of the LLM addresses."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple
from urllib.parse import unquote

from aiohttp import web

from keyfob.core.errors import KeyfobError
from keyfob.gateway.auth.result import AuthResult
from keyfob.gateway.engines import SignerOf
from keyfob.gateway.llm.errors import AnswerFailedError
from keyfob.gateway.llm.events import EventTooLargeError
from keyfob.gateway.llm.formats import CannotTranslateError, Format
from keyfob.gateway.models import listing
from keyfob.gateway.models.bodies import BodyError, parsed, raw_body
from keyfob.gateway.models.choosing import Chooser, Wanted
from keyfob.gateway.models.errors import in_format, refused
from keyfob.gateway.models.sending import AnswerTooLargeError, Call, Sender, failed
from keyfob.gateway.models.table_file import WatchedTable
from keyfob.gateway.proxy import problems
from keyfob.gateway.proxy.decisions import RefusedError
from keyfob.gateway.proxy.own import Handler, OwnAddress
from keyfob.gateway.proxy.parts import Parts
from keyfob.gateway.proxy.upstream import FAULTS

MODELS: Final = "/v1/models"
_UNREADABLE: Final = "The provider sent an answer that Keyfob cannot read. Try again."


class Address(NamedTuple):
    """An address of the gateway, and what stands for it at an upstream."""

    path: str
    format: Format
    suffix: str
    translates: bool = False


ADDRESSES: Final = (
    Address("/v1/chat/completions", "openai_chat", "/chat/completions", translates=True),
    Address("/v1/responses", "openai_responses", "/responses", translates=True),
    Address("/v1/messages", "anthropic_messages", "/messages", translates=True),
    Address("/v1/messages/count_tokens", "anthropic_messages", "/messages/count_tokens"),
    Address("/v1/embeddings", "openai_chat", "/embeddings"),
)


def llm_addresses(parts: Parts, signers: SignerOf, table: WatchedTable) -> list[OwnAddress]:
    """The LLM addresses of a server."""
    return LlmRoutes(parts, Chooser(signers, table, parts.decisions)).addresses()


class LlmRoutes:
    """For one event loop."""

    def __init__(self, parts: Parts, chooser: Chooser) -> None:
        self._parts, self._chooser = parts, chooser
        self._sender = Sender(parts.upstream, parts.credentials)

    def addresses(self) -> list[OwnAddress]:
        """For the server's table. Each handler asks who calls, to refuse in the caller's format."""
        made = [OwnAddress(one.path, self._handler(one), "everyone") for one in ADDRESSES]
        return [
            *made,
            OwnAddress(MODELS, self._models, "everyone"),
            OwnAddress(f"{MODELS}/", self._model, "everyone"),
        ]

    def _handler(self, address: Address) -> Handler:
        async def handler(request: web.Request, _caller: AuthResult | None) -> web.StreamResponse:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                # The Codex command line asks for one first, and goes on without after this status.
                return refused(426, "request_refused", "Use POST, without a WebSocket.", address.format)
            if request.method != "POST":
                return refused(405, "request_refused", "Use POST.", address.format)
            return await self._guarded(address.format, request, lambda: self._call(request, address))

        return handler

    async def _guarded(
        self, format: Format, request: web.Request, work: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Every refusal in the caller's format."""
        try:
            return await work()
        except RefusedError as error:
            return in_format(error.answer, format)
        except KeyfobError as error:
            return in_format(problems.of_error(error), format)
        except BodyError as error:
            return refused(error.status, "request_refused", str(error), format, error.field)
        except CannotTranslateError as error:
            return refused(400, "request_refused", str(error), format, error.field)
        except (AnswerTooLargeError, EventTooLargeError):
            return refused(502, "provider_unavailable", "The provider's answer is too long.", format)
        except FAULTS:
            if request.transport is None or request.transport.is_closing():
                raise  # the caller has left
            detail = "The provider cannot be reached now. Try again later."
            return refused(502, "provider_unavailable", detail, format)

    async def _caller(self, request: web.Request) -> AuthResult:
        caller = await self._parts.callers.who(request)
        if not caller.authenticated:
            raise self._parts.decisions.not_known()
        return caller

    async def _call(self, request: web.Request, address: Address) -> web.StreamResponse:
        started = time.monotonic()
        caller = await self._caller(request)
        raw = await raw_body(request)
        body = await parsed(raw)
        wanted = Wanted(caller, address.format, "POST", address.suffix, address.translates)
        target = await self._chooser.target(wanted, body["model"])
        await self._parts.decisions.on_route(caller, "POST", target.route)
        call = Call(request, address.format, raw, body, target)
        made = await self._answered(call, started)
        self._parts.counted(target.api.account, made.status)
        return made

    async def _answered(self, call: Call, started: float) -> web.StreamResponse:
        async with self._sender.sent(call) as got:
            self._parts.began(time.monotonic() - started)
            try:
                return await self._sender.answer(call, got)
            except AnswerFailedError as error:
                return failed(call, error)
            except (ValueError, KeyError, TypeError):
                return refused(502, "provider_unavailable", _UNREADABLE, call.format)

    # --- the list of models -------------------------------------------------------------------------------

    async def _models(self, request: web.Request, _caller: AuthResult | None) -> web.StreamResponse:
        format: Format = "anthropic_messages" if "anthropic-version" in request.headers else "openai_chat"
        if request.method != "GET":
            return refused(405, "request_refused", "Use GET.", format)
        return await self._guarded(format, request, lambda: self._listed(request, format))

    async def _listed(self, request: web.Request, format: Format) -> web.StreamResponse:
        caller = await self._caller(request)
        if self._chooser.table.now().entries:
            return web.json_response(listing.models(await self._names(caller)))
        wanted = Wanted(caller, format, "GET", "/models", translates=True)
        target = await self._chooser.only_one(wanted, "")
        await self._parts.decisions.on_route(caller, "GET", target.route)
        call = Call(request, format, b"", {}, target)
        async with self._sender.sent(call) as got:
            if not call.is_translated or got.status != 200:
                return await self._sender.answer(call, got)
            try:
                names = listing.names_in(json.loads(await got.read()))
            except ValueError:
                return refused(502, "provider_unavailable", _UNREADABLE, format)
        return web.json_response(listing.models(names))

    async def _names(self, caller: AuthResult) -> list[str]:
        """The table's models of accounts that the caller may use."""
        table = self._chooser.table.now()
        allowed = {
            account: await self._chooser.may_use(caller, account)
            for account in {one.account for one in table.entries}
        }
        return [name for name in table.names if (found := table.find(name)) and allowed[found[0].account]]

    async def _model(self, request: web.Request, _caller: AuthResult | None) -> web.StreamResponse:
        format: Format = "anthropic_messages" if "anthropic-version" in request.headers else "openai_chat"
        if request.method != "GET":
            return refused(405, "request_refused", "Use GET.", format)
        return await self._guarded(format, request, lambda: self._one(request))

    async def _one(self, request: web.Request) -> web.StreamResponse:
        caller = await self._caller(request)
        name = unquote(request.raw_path.partition("?")[0].removeprefix(f"{MODELS}/"))
        found = self._chooser.table.now().find(name)
        if found is None or not await self._chooser.may_use(caller, found[0].account):
            raise RefusedError(
                problems.problem(404, "model_not_found", "This model is not in the gateway's model table")
            )
        return web.json_response(listing.model(name))
