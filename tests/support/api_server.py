"""An API on a loopback port that wants a token, and streams: for the gateway's tests.

`seen` holds each request as (method, raw target, headers). Runs its own event loop on a thread.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from types import TracebackType

from aiohttp import WSMsgType, web


class ApiServer:
    """Serves while in `with`. `takes` says whether a token is right."""

    def __init__(self, takes: Callable[[str], bool], tls: ssl.SSLContext | None = None) -> None:
        """`tls`: of a certificate for `localhost`."""
        self.takes = takes
        self._tls = tls
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.refuse_next = 0  # requests that get 401 although the token is right
        self.received = 0  # bytes of the last body
        self.left = threading.Event()  # a caller left in the middle of an answer
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def base(self) -> str:
        if self._tls is not None:
            return f"https://localhost:{self.port}/api"
        return f"http://127.0.0.1:{self.port}/api"

    def __enter__(self) -> ApiServer:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends it, once or again."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application(client_max_size=1 << 40)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1, auto_decompress=False)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.raw_path, dict(request.headers)))
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.refuse_next > 0 or not await asyncio.to_thread(self.takes, token):
            self.refuse_next = max(0, self.refuse_next - 1)
            return web.json_response({"error": "invalid_token"}, status=401)
        match request.path.removeprefix("/api"):
            case "/echo":
                body = await request.read()
                return web.json_response(
                    {"method": request.method, "length": len(body), "query": request.query_string},
                    headers={"Set-Cookie": "a=b", "X-RateLimit-Remaining": "7", "Alt-Svc": "h3"},
                )
            case "/upload":
                self.received = 0
                async for part in request.content.iter_any():
                    self.received += len(part)
                return web.json_response({"length": self.received})
            case "/download":
                return await self._download(request, int(request.query["size"]))
            case "/events":
                return await self._events(request, int(request.query["count"]), float(request.query["gap"]))
            case "/cut":
                return await self._cut(request)
            case "/here":
                raise web.HTTPFound("/api/echo?after=1")
            case "/away":
                raise web.HTTPFound("http://127.0.0.1:9/elsewhere")
            case "/ws":
                return await self._web_socket(request)
        return web.json_response({"path": request.raw_path}, status=404)

    async def _download(self, request: web.Request, size: int) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.content_length = size
        await answer.prepare(request)
        block = b"x" * 65536
        while size > 0:
            await answer.write(block[:size])
            size -= len(block)
        return answer

    async def _events(self, request: web.Request, count: int, gap: float) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        try:
            for number in range(count):
                await answer.write(f"data: {number}\n\n".encode())
                await asyncio.sleep(gap)
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise
        return answer

    async def _cut(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"half of it")
        assert request.transport is not None
        request.transport.abort()
        return answer

    async def _web_socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("chat",))
        await socket.prepare(request)
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                if message.data == "bye":
                    await socket.close(code=4001)
                    break
                await socket.send_str(message.data.upper())
            elif message.type == WSMsgType.BINARY:
                await socket.send_bytes(message.data[::-1])
        return socket
