"""The delivery servers of our Nexus Mods server: signed links that end, ranges, cuts; and the pictures.

Like nginx's secure_link, which such links look like: 403 for a signature that is wrong, 410 for one that has
ended. A request with credentials is an offence: links are signed already, and pictures are public.
"""

from __future__ import annotations

import hashlib
import re
import time
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

from support.nexus_site import Asked, Site

# A pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000b49444154789c6360000200"
    "000500017a5eab3f0000000049454e44ae426082"
)
PIECE = 16 * 1024
CREDENTIALS = ("authorization", "apikey", "cookie", "proxy-authorization")


class CdnHandler(BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body waits 40 ms for its head to be acknowledged

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.site.asked.append(Asked("cdn", "GET", self.path, headers))
        self.site.offences += [f"{name} was sent to the CDN" for name in CREDENTIALS if name in headers]
        address = urlsplit(self.path)
        if address.path.startswith("/pictures/"):
            self._whole(200, PNG, "image/png")
        elif address.path.startswith("/cdn/"):
            self._file(unquote(address.path), {k: v[0] for k, v in parse_qs(address.query).items()})
        else:
            self._whole(404, b"not found", "text/plain")

    def _file(self, path: str, query: dict[str, str]) -> None:
        expires = query.get("expires", "")
        if self.site.sign("cdn", path, expires, query.get("user_id")) != query.get("md5"):
            self._whole(403, b"<html><h1>403 Forbidden</h1></html>", "text/html")
            return
        if int(expires) <= self.site.clock():
            self._whole(410, b"<html><h1>410 Gone</h1></html>", "text/html")
            return
        _, _, game_id, mod_id, name = path.split("/", 4)
        content = next(
            file.content
            for game, mod, file in self.site.all_files()
            if (str(game.id), str(mod.mod_id), file.file_name) == (game_id, mod_id, name)
        )
        if self.site.cdn_instead is not None:
            content = self.site.cdn_instead
        if self.site.cdn_spoilt:
            content = bytes(byte ^ 1 for byte in content[:1]) + content[1:]
        self._ranged(content)

    def _ranged(self, content: bytes) -> None:
        mark = f'"{hashlib.sha1(content, usedforsecurity=False).hexdigest()[:16]}"'
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(asked[1]) if asked and self.headers.get("If-Range", mark) == mark else 0
        if first and first >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if first else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", mark)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(content) - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self._send(content[first:])

    def _send(self, content: bytes) -> None:
        cut, self.site.cdn_cut = self.site.cdn_cut, None
        for start in range(0, len(content), PIECE):
            if cut is not None and start >= cut:
                self.close_connection = True
                return
            try:
                self.wfile.write(content[start : start + PIECE])
            except OSError:
                self.close_connection = True  # the client has gone
                return
            if self.site.cdn_rate:
                time.sleep(PIECE / self.site.cdn_rate)

    def _whole(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
