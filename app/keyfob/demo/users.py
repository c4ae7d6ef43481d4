"""The users of the demo provider, and their portraits.

The portraits are PNG files drawn by arithmetic: every toolkit reads
them, and there is no file or licence to include.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from math import hypot

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Person:
    """`sub` is what the ID token says and never changes; `id` is the word in forms and addresses."""

    id: str
    sub: str
    name: str
    email: str
    about: str
    sky: tuple[Colour, Colour]  # the background, from top to bottom
    hair: Colour
    shirt: Colour
    skin: Colour
    long_hair: bool

    def claims(self, issuer: str, scopes: tuple[str, ...]) -> dict[str, object]:
        """The claims that these scopes let a client see (OpenID Connect Core 5.4)."""
        claims: dict[str, object] = {"sub": self.sub}
        if "profile" in scopes:
            claims |= {
                "name": self.name,
                "preferred_username": self.id,
                "picture": f"{issuer}/portraits/{self.id}.png",
            }
        if "email" in scopes:
            claims |= {"email": self.email, "email_verified": True}
        return claims


PEOPLE: dict[str, Person] = {
    person.id: person
    for person in (
        Person(
            "alice", "248289761001", "Alice", "alice@demo.example", "Paints, and leaves the rest to tools",
            ((255, 214, 165), (244, 151, 142)), (92, 51, 38), (47, 95, 208), (249, 214, 186), True,
        ),
        Person(
            "bob", "248289761002", "Bob", "bob@demo.example", "Builds robots on weekends",
            ((186, 225, 255), (122, 162, 227)), (52, 44, 43), (29, 112, 57), (222, 173, 135), False,
        ),
    )
}  # fmt: skip


@lru_cache(maxsize=8)
def portrait(person: Person, side: int = 160) -> bytes:
    """A square PNG of `side` pixels. Drawn back to front; each shape's edge is one pixel soft."""
    rows = bytearray()
    pixel = 1 / side
    top, bottom = person.sky
    for line in range(side):
        y = (line + 0.5) * pixel
        rows.append(0)  # no filter on this line
        sky = _mix(top, bottom, y)
        for column in range(side):
            x = (column + 0.5) * pixel
            colour = sky
            if person.long_hair:
                colour = _mix(colour, person.hair, _inside(_oval(x, y, 0.5, 0.50, 0.245, 0.29), pixel))
            colour = _mix(colour, person.shirt, _inside(_oval(x, y, 0.5, 1.02, 0.36, 0.29), pixel))
            colour = _mix(colour, person.skin, _inside(_oval(x, y, 0.5, 0.70, 0.085, 0.12), pixel))
            face = _oval(x, y, 0.5, 0.46, 0.165, 0.20)
            colour = _mix(colour, person.skin, _inside(face, pixel))
            fringe = max(_oval(x, y, 0.5, 0.40, 0.20, 0.20), -_oval(x, y, 0.56, 0.52, 0.22, 0.19))
            colour = _mix(colour, person.hair, _inside(fringe, pixel))
            for eye in (0.44, 0.56):
                colour = _mix(colour, (45, 35, 35), _inside(hypot(x - eye, y - 0.47) - 0.016, pixel))
            smile = max(abs(hypot(x - 0.5, y - 0.50) - 0.07) - 0.008, 0.535 - y)
            colour = _mix(colour, (150, 70, 60), _inside(smile, pixel))
            rows += bytes(colour)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(bytes(rows), 9))
        + _chunk(b"IEND", b"")
    )


def _oval(x: float, y: float, cx: float, cy: float, rx: float, ry: float) -> float:
    """How far outside (positive) or inside (negative) an oval the point lies, in units of the picture."""
    return (hypot((x - cx) / rx, (y - cy) / ry) - 1) * min(rx, ry)


def _inside(distance: float, pixel: float) -> float:
    return min(1.0, max(0.0, 0.5 - distance / pixel))


def _mix(under: Colour, over: Colour, share: float) -> Colour:
    if share <= 0:
        return under
    if share >= 1:
        return over
    r, g, b = (round(a + (b - a) * share) for a, b in zip(under, over, strict=True))
    return r, g, b


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
