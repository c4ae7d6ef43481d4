"""Pictures: a redirect is followed where a stranger may send us, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keyfob.adapters.network.avatars import Avatars
from keyfob.core.http import Request, Response

AT = datetime(2026, 11, 20, tzinfo=UTC)
PICTURE = b"\x89PNG\r\n\x1a\n and so on"


@dataclass
class Pictures:
    """A server elsewhere, which cannot be had here: each address
    redirects to the next, the last one has the picture.
    """

    hops: list[str]
    asked: list[str] = field(default_factory=list)

    def send(self, request: Request) -> Response:
        self.asked.append(request.url)
        if self.hops:
            return Response(302, {"location": self.hops.pop(0)}, b"", AT, request.url)
        return Response(200, {}, PICTURE, AT, request.url)


def fetched(
    folder: Path, *hops: str, url: str = "https://pictures.example/a"
) -> tuple[bytes | None, list[str]]:
    server = Pictures(list(hops))
    path = Avatars(folder, server).fetch(url)
    return (path.read_bytes() if path else None), server.asked


@pytest.mark.parametrize(
    "location",
    ["http://127.0.0.1:8080/x", "https://localhost/x", "https://192.168.1.1/reboot",
     "https://169.254.169.254/",
     "http://[::1]/", "http://elsewhere.example/plain", "file:///etc/passwd", "", "//127.0.0.1/x"],
)  # fmt: skip
def test_s84_a_picture_leads_to_no_service_of_this_computer(tmp_path: Path, location: str) -> None:
    picture, asked = fetched(tmp_path, location)
    if location == "":  # itself again
        assert asked == ["https://pictures.example/a"] * 2
        return
    assert picture is None
    assert asked == ["https://pictures.example/a"]


def test_a_redirect_to_another_picture_host_is_followed(tmp_path: Path) -> None:
    picture, asked = fetched(tmp_path, "https://cdn.example/b", "/c")
    assert picture == PICTURE
    assert asked[1:] == ["https://cdn.example/b", "https://cdn.example/c"]


def test_two_hops_and_no_more(tmp_path: Path) -> None:
    picture, asked = fetched(tmp_path, *["https://cdn.example/b"] * 5)
    assert picture is None
    assert len(asked) == 3
