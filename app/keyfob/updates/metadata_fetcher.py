"""Fetches the metadata of a TUF repository for python-tuf, over the app's own transport and from the
repository's own host alone. Imported only when an update is looked for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient.fetcher import FetcherInterface

from keyfob.ports import StreamingTransport
from keyfob.updates.download import check_answer
from keyfob.updates.reading import opened


class MetadataFetcher(FetcherInterface):
    """python-tuf stops reading at its own limits of size."""

    def __init__(self, transport: StreamingTransport, base: str, cancelled: threading.Event) -> None:
        self._transport = transport
        self._hosts = (urlsplit(base).netloc,)
        self._cancelled = cancelled

    def _fetch(self, url: str) -> Iterator[bytes]:
        """Raises DownloadHTTPError for a file that is not there, which may be in order, and KeyfobError."""
        with opened(self._transport, url, {}, self._hosts, self._cancelled) as reading:
            if reading.answer.status in (403, 404):
                raise DownloadHTTPError("not there", reading.answer.status)
            check_answer(reading.beginning(), reading.host)
            yield from reading.pieces()
