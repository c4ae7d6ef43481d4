"""Serves an ASGI application over TLS on loopback, on a thread."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from support.running import until


@contextmanager
def served(app: Any, tls: ssl.SSLContext, port: int) -> Iterator[None]:
    """The application answers at this port of 127.0.0.1 until the block ends."""
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="on")
    config.load()
    config.ssl = tls
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="tls app")
    thread.start()
    try:
        until(lambda: server.started)
        yield
    finally:
        server.should_exit = True
        thread.join()
