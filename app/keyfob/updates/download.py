"""Downloads of any size, which continue after a cut, and are checked before they get their name.

    download(url, folder / "me3.tgz", sha256=digest, allowed_hosts=("github.com", "*.githubusercontent.com"))

What was received is kept in `NAME.part` until it is complete. After a cut, or when the same download is asked
for again, the rest is asked for (Range and If-Range, RFC 9110 §13.1.5 and §14.2), and a file that has changed
at the server starts from the beginning. Memory use does not depend on the size. Credentials in `headers` go
to the origin of `url` and to no other. Blocks; several downloads may run at once.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from keyfob.core.errors import PeerFault, Transient
from keyfob.core.provider import EMPTY
from keyfob.protocol.http.responses import is_cloudflare, media_type, retry_after
from keyfob.updates.part_file import Note, PartFile, opened_part
from keyfob.updates.reading import Reading, check, host_of, opened

if TYPE_CHECKING:
    from keyfob.core.http import Response
    from keyfob.ports import StreamingTransport

ATTEMPTS = 5  # to continue in a row that bring next to nothing, after which the server is given up
STEADY = 64 * 1024  # bytes: an attempt that brought fewer counts as such
PAUSE_MOST = 8.0  # s before the next attempt
RATE_OVER = 5.0  # s that the rate is taken over
REPORTED = 0.1  # s between reports of progress
_RANGE = re.compile(r"bytes (?P<first>[0-9]{1,18})-[0-9]{1,18}/(?P<total>[0-9]{1,18}|\*)\Z")
_UNSATISFIED = re.compile(r"bytes \*/(?P<total>[0-9]{1,18})\Z")
_PAGES = (".html", ".htm", ".xhtml")
_HTML = ("text/html", "application/xhtml+xml")
_PAGE = re.compile(rb"\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is. `received` and `total` in bytes (`total` None: the server did not say), `rate`
    in bytes a second, `seconds_left` None while that is not known.
    """

    received: int
    total: int | None
    rate: float
    seconds_left: float | None


class DownloadRefused(Transient):
    """The server does not give the file. `status` is its HTTP status, such as 403 for a link that expired."""

    def __init__(self, host: str, status: int) -> None:
        super().__init__(
            f"{host} does not give this file (HTTP status {status})", code="request_refused", answered=True
        )
        self.status = status


def download(
    url: str,
    target: Path,
    *,
    allowed_hosts: Iterable[str],
    expected_size: int | None = None,
    sha256: str | None = None,
    headers: Mapping[str, str] = EMPTY,
    progress: Callable[[Progress], None] = lambda _: None,
    cancelled: threading.Event | None = None,
    transport: StreamingTransport | None = None,
) -> Path:
    """Fetch `url` into `target`, replacing what is there, and return `target`.

    `allowed_hosts`: the hosts, each with its port unless that is the scheme's own, that may be asked;
    `*.example.org` stands for those below it. `expected_size` in bytes. `sha256` in hex. `progress` is called
    on this thread, at most ten times a second and at the end. `transport`: by default the system's.

    Raises Transient (`network_unreachable`, `network_timeout`, `provider_unavailable`, `rate_limited`,
    `captive_portal`, `download_running`), DownloadRefused, PeerFault (`download_wrong` if it is not the file
    that was expected, `download_elsewhere` for a host that is not allowed), SettingWrong (`disk_full`,
    `file_unwritable`, `tls_untrusted`, `endpoint_unsafe`), SignInEnded `cancelled`. Then nothing has changed
    at `target`, and what can be continued is kept.
    """
    wanted = Note(None if sha256 is None else sha256.lower(), expected_size)
    with opened_part(target, wanted) as part:
        job = _Job(
            url,
            dict(headers) | {"Accept": "*/*"},
            tuple(allowed_hosts),
            part,
            cancelled or threading.Event(),
            transport or system_transport(),
            may_be_page=target.suffix.lower() in _PAGES,
        )
        continued = part.received > 0
        total = job.receive(expected_size, progress)
        if wanted.sha256 not in (None, part.digest()) and continued:
            part.restart(None)  # what an earlier run left may be at fault: once more, from the beginning
            total = job.receive(expected_size, progress)
        if wanted.sha256 not in (None, part.digest()):
            part.drop()
            raise _wrong(url, "its checksum differs")
        part.finish()
    progress(Progress(total, total, 0.0, 0.0))
    return target


class _StartOverError(Exception):
    """The server does not continue what is here."""


@dataclass(frozen=True)
class _Job:
    url: str
    headers: Mapping[str, str]
    allowed: tuple[str, ...]
    part: PartFile
    cancelled: threading.Event
    transport: StreamingTransport
    may_be_page: bool

    def receive(self, size: int | None, progress: Callable[[Progress], None]) -> int:
        """Receive until the file is complete, and return its size. A cut is continued; a server that has not
        given anything yet is not asked again.
        """
        start = furthest = self.part.received
        failures = 0
        while True:
            before = self.part.received
            try:
                return self._attempt(size, progress)
            except _StartOverError:
                self.part.restart(None)
                if not before:
                    raise Transient(
                        f"{host_of(self.url)} answers with another part than it was asked for", answered=True
                    ) from None
            except Transient as error:
                if error.answered or max(self.part.received, furthest) == start:
                    raise
                failures = 0 if self.part.received >= furthest + STEADY else failures + 1
                furthest = max(self.part.received, furthest)
                if failures >= ATTEMPTS:
                    raise
                self.cancelled.wait(min(0.25 * 2**failures, PAUSE_MOST))

    def _attempt(self, size: int | None, progress: Callable[[Progress], None]) -> int:
        check(self.cancelled)
        part = self.part
        if part.received and part.validator is None and not part.checked:
            part.restart(None)  # nothing would show that the rest is of another file
        asked = dict(self.headers)
        if part.received:
            asked["Range"] = f"bytes={part.received}-"
            if part.validator is not None:
                asked["If-Range"] = part.validator
        with opened(self.transport, self.url, asked, self.allowed, self.cancelled) as reading:
            told = self._begun(reading)
            if size is not None and told not in (None, size):
                part.drop()
                raise _wrong(reading.url, "its size differs")
            total = size if told is None else told
            if total is not None:
                part.make_room(total - part.received)
            self._body(reading, total, progress)
        if total is not None and part.received < total:
            raise Transient(f"{reading.host} closed the connection before the file was complete")
        return part.received

    def _begun(self, reading: Reading) -> int | None:
        """Judges the answer's head, and returns the file's size if the server tells it."""
        answer, part = reading.beginning(), self.part
        if answer.status == 416:
            match = _UNSATISFIED.match(answer.headers.get("content-range", ""))
            if match is None or int(match["total"]) != part.received:
                raise _StartOverError
            return part.received  # all of it is here already
        if answer.status == 206:
            match = _RANGE.match(answer.headers.get("content-range", ""))
            if match is None or int(match["first"]) != part.received or _is_encoded(answer):
                raise _StartOverError
            return None if match["total"] == "*" else int(match["total"])
        check_answer(answer, reading.host, may_be_page=self.may_be_page)
        part.restart(None if _is_encoded(answer) else _validator(answer))
        length = answer.headers.get("content-length", "")
        return int(length) if re.fullmatch(r"[0-9]{1,18}", length) and not _is_encoded(answer) else None

    def _body(self, reading: Reading, total: int | None, progress: Callable[[Progress], None]) -> None:
        meter = _Meter(self.part.received, total, progress)
        if reading.answer.status == 416:
            return
        reading.waiting = lambda: meter.report(self.part.received)
        for piece in reading.pieces():
            if total is not None and self.part.received + len(piece) > total:
                self.part.drop()
                raise _wrong(reading.url, "it is larger")
            self.part.write(piece)
            meter.report(self.part.received)


class _Meter:
    """Reports progress, with a rate taken over the last seconds."""

    def __init__(self, received: int, total: int | None, progress: Callable[[Progress], None]) -> None:
        self._total = total
        self._progress = progress
        self._marks = deque([(time.monotonic(), received)])
        progress(Progress(received, total, 0.0, None))

    def report(self, received: int) -> None:
        now = time.monotonic()
        if now - self._marks[-1][0] < REPORTED:
            return
        self._marks.append((now, received))
        while len(self._marks) > 2 and now - self._marks[0][0] > RATE_OVER:
            self._marks.popleft()
        since, had = self._marks[0]
        rate = (received - had) / (now - since)
        left = None if self._total is None or rate <= 0 else (self._total - received) / rate
        self._progress(Progress(received, self._total, rate, left))


def check_answer(answer: Response, host: str, *, may_be_page: bool = False) -> None:
    """Raises Transient or DownloadRefused unless the answer is a whole file. `may_be_page`: a web page is
    what was asked for.
    """
    status, wait = answer.status, retry_after(answer)
    if status == 200:
        if not may_be_page and (media_type(answer) in _HTML or _PAGE.match(answer.body)):
            raise Transient(
                f"A web page came instead of the file from {host}", code="captive_portal", answered=True
            )
    elif status == 429 or (status == 403 and answer.headers.get("x-ratelimit-remaining") == "0"):
        raise Transient(f"{host} asked Keyfob to wait", code="rate_limited", retry_after=wait, answered=True)
    elif status == 511:
        raise Transient("This network requires you to sign in first", code="captive_portal", answered=True)
    elif status >= 500 or status == 408 or is_cloudflare(answer):
        raise Transient(f"{host} is not available right now", retry_after=wait, answered=True)
    else:
        raise DownloadRefused(host, status)


def _validator(answer: Response) -> str | None:
    """What proves to If-Range that the file is the same: a strong ETag, or a date that is strong enough
    (RFC 9110 §8.8.2.2).
    """
    tag = answer.headers.get("etag", "")
    if re.fullmatch(r'"[\x21\x23-\x7e]{0,500}"', tag):
        return tag
    modified = answer.headers.get("last-modified", "")
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        age = parsedate_to_datetime(answer.headers.get("date", "")) - parsedate_to_datetime(modified)
        if age.total_seconds() >= 1 and modified.isascii() and modified.isprintable():
            return modified
    return None


def _is_encoded(answer: Response) -> bool:
    """Whether the transport decodes the body, so that its bytes and the server's are not the same."""
    return answer.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity")


def _wrong(url: str, how: str) -> PeerFault:
    return PeerFault(
        f"The file from {host_of(url)} is not the one that was announced: {how}",
        code="download_wrong",
        facts={"server": host_of(url)},
    )


def system_transport() -> StreamingTransport:
    """The app's own transport, over this system's certificates and proxies."""
    from keyfob.adapters.network.transport import HttpTransport
    from keyfob.adapters.system.clock import now

    return HttpTransport(now)
