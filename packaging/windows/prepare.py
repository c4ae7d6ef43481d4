"""Writes dist/keyfob.ico from the icons, and dist/version.txt, the version resource of the programs."""

import struct
from pathlib import Path

import keyfob

ROOT = Path(__file__).resolve().parents[2]
ICONS = ROOT / "packaging" / "icons" / "hicolor"
SIZES = (16, 24, 32, 48, 64, 128, 256)
RESOURCE = """\
VSVersionInfo(
  ffi=FixedFileInfo(filevers={numbers}, prodvers={numbers}),
  kids=[
    StringFileInfo([StringTable("040904B0", [
      StringStruct("CompanyName", "The Keyfob authors"),
      StringStruct("FileDescription", "Keyfob"),
      StringStruct("FileVersion", "{version}"),
      StringStruct("ProductName", "Keyfob"),
      StringStruct("ProductVersion", "{version}"),
    ])]),
    VarFileInfo([VarStruct("Translation", [1033, 1200])]),
  ],
)
"""


def icon() -> bytes:
    """An icon file of PNGs (Windows Vista and newer)."""
    pictures = [(ICONS / f"{size}x{size}" / "apps" / "org.keyfob.Keyfob.png").read_bytes() for size in SIZES]
    offset = 6 + 16 * len(SIZES)
    entries = []
    for size, picture in zip(SIZES, pictures, strict=True):
        entries.append(struct.pack("<BBBBHHII", size % 256, size % 256, 0, 0, 1, 32, len(picture), offset))
        offset += len(picture)
    return struct.pack("<HHH", 0, 1, len(SIZES)) + b"".join(entries) + b"".join(pictures)


def numbers(version: str) -> tuple[int, ...]:
    """Four numbers, as Windows wants them: 1.2.0rc1 is (1, 2, 0, 0)."""
    found = [int("".join(c for c in part if c.isdigit())) for part in version.split(".")[:3] if part[:1].isdigit()]
    return (*found, 0, 0, 0, 0)[:4]


if __name__ == "__main__":
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    (dist / "keyfob.ico").write_bytes(icon())
    text = RESOURCE.format(numbers=numbers(keyfob.__version__), version=keyfob.__version__)
    (dist / "version.txt").write_text(text, "utf-8")
