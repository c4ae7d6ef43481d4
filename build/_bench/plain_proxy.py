"""A proxy as short as aiohttp allows, to compare with: `plain_proxy.py URL` prints its port, then serves."""

from __future__ import annotations

import asyncio
import sys

import aiohttp
from aiohttp import web


async def main(base: str) -> None:
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), auto_decompress=False
    ) as session:

        async def handle(request: web.Request) -> web.StreamResponse:
            body = request.content.iter_any() if request.body_exists else None
            headers = {"Authorization": "Bearer a-token"}
            if request.content_length is not None:
                headers["Content-Length"] = str(request.content_length)
            async with session.request(
                request.method, base + request.raw_path, headers=headers, data=body
            ) as there:
                answer = web.StreamResponse(status=there.status)
                answer.content_length = there.content_length
                await answer.prepare(request)
                async for part in there.content.iter_any():
                    await answer.write(part)
                return answer

        app = web.Application(client_max_size=1 << 40)
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None, auto_decompress=False)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
