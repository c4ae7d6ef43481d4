"""A token endpoint for the benchmarks, a process of its own: strict
rotation, a limit a second, slow accounts.

It only renews. A refresh token `r.LABEL.N` is good once; one that comes again ends its family, as servers
with reuse detection do. Labels that begin with `slow` take two seconds. Prints its address, and ends when its
stdin closes. `POST /control` sets `lifetime` (seconds) and `limit` (renewals a second, 429 beyond it); `GET
/stats` tells, by label, how often a new token was given, and how often one was refused. Speaks to loopback
alone.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from urllib.parse import parse_qs

SLOW = 2.0  # seconds
KEPT_ALIVE = 30.0  # seconds


class Provider:
    def __init__(self) -> None:
        self.issuer = ""
        self.lifetime = 3600
        self.limit: float | None = None
        self.tokens = 0.0  # the limit's bucket
        self.filled = 0.0
        self.current: dict[str, int] = {}
        self.dead: set[str] = set()
        self.given: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.limited = 0
        self.given_at: dict[str, float] = {}

    async def answer(self, method: str, path: str, body: str) -> tuple[int, dict[str, str], object]:
        if path == "/token":
            return await self.token({name: values[0] for name, values in parse_qs(body).items()})
        if path == "/control":
            told = json.loads(body)
            self.lifetime = int(told.get("lifetime", self.lifetime))
            self.limit = told.get("limit")
            self.tokens = float(self.limit or 0)
            self.given.clear()
            self.given_at.clear()
            self.refused.clear()
            self.limited = 0
            for label in told.get("forget", ()):
                self.current.pop(label, None)
                self.dead.discard(label)
            return 200, {}, {}
        if path == "/stats":
            told = {"given": self.given, "refused": self.refused, "limited": self.limited}
            return 200, {}, told | {"dead": sorted(self.dead), "given_at": self.given_at}
        if path in ("/.well-known/openid-configuration", "/common/.well-known/openid-configuration"):
            return 200, {}, self.metadata()
        return 404, {}, {"error": "not_found"}

    def metadata(self) -> dict[str, object]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "scopes_supported": ["openid", "profile", "offline_access"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    async def token(self, form: dict[str, str]) -> tuple[int, dict[str, str], object]:
        refresh = form.get("refresh_token", "")
        _, _, rest = refresh.partition(".")
        label, _, number = rest.rpartition(".")
        if label.startswith("slow"):
            await asyncio.sleep(SLOW)
        if not self.allowed():
            self.limited += 1
            return 429, {"Retry-After": "1"}, {"error": "temporarily_unavailable"}
        fixed = number == "fixed"  # for programs whose rounds have nothing to do with rotation
        if not fixed:
            wanted = self.current.get(label, 0)
            if label in self.dead or not number.isdecimal() or int(number) != wanted:
                self.dead.add(label)
                self.refused[label] += 1
                return 400, {}, {"error": "invalid_grant"}
            self.current[label] = wanted + 1
        self.given[label] += 1
        self.given_at[label] = time.time()
        after = "fixed" if fixed else str(self.current[label])
        # As long as the opaque tokens of the large providers are.
        access = f"a.{label}.{self.given[label]}.".ljust(180, "x")
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": self.lifetime}
        return 200, {}, answer | {"refresh_token": f"r.{label}.{after}", "scope": "openid profile"}

    def allowed(self) -> bool:
        if self.limit is None:
            return True
        now = asyncio.get_running_loop().time()
        self.tokens = min(float(self.limit), self.tokens + (now - self.filled) * self.limit)
        self.filled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), KEPT_ALIVE)
                first, *lines = head.decode("latin-1").split("\r\n")
                size = next((int(x[15:]) for x in lines if x.lower().startswith("content-length:")), 0)
                body = (await reader.readexactly(size)).decode()
                method, target, _ = first.split(" ")
                status, headers, value = await self.answer(method, target.partition("?")[0], body)
                data = json.dumps(value).encode()
                told = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
                writer.write(
                    f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: "
                    f"{len(data)}\r\nCache-Control: no-store\r\n{told}\r\n".encode()
                    + data
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def main() -> None:
    provider = Provider()
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0, backlog=1024)
    provider.issuer = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(provider.issuer, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
