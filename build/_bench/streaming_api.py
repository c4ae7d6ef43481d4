"""An API for the gateway's figures: prints its port, then serves until it is killed.

`/event` sends one event at once and keeps the stream open, `/download` has 100 MB, `/upload` reads all.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

SIZE = 100 << 20
BLOCK = bytes(1 << 16)


async def event(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    await answer.write(b"data: {}\n\n")
    await asyncio.sleep(float(request.query.get("open", "0")))
    return answer


async def download(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    answer.content_length = SIZE
    await answer.prepare(request)
    for _ in range(SIZE // len(BLOCK)):
        await answer.write(BLOCK)
    return answer


async def upload(request: web.Request) -> web.StreamResponse:
    size = 0
    async for part in request.content.iter_any():
        size += len(part)
    return web.json_response({"size": size})


async def main() -> None:
    app = web.Application(client_max_size=1 << 40)
    app.add_routes([web.get("/event", event), web.get("/download", download), web.put("/upload", upload)])
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
