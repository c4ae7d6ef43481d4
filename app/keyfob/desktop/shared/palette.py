"""Every colour of the window, for both themes. No other file has colours.

`PAIRS` lists which text colour is drawn on which ground. A test computes the contrast of each (WCAG 2, at
least 4.5:1). Widgets take colours from the `Palette` of the theme.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one theme, by what they are for."""

    name: str  # light | dark
    bg: str  # behind the detail
    panel: str  # cards, dialogs, buttons
    side: str  # the list's column
    ink: str  # what is read first
    ink2: str  # secondary text
    ink3: str  # times, hints, placeholders
    line: str  # borders between things; never of what one can press
    edge: str  # borders of things one can press or type in: at least 3:1 on each ground
    handle: str  # of scroll bars
    accent: str
    accent_ink: str  # text on accent
    accent_hover: str
    accent_down: str
    focus: str  # the ring
    ok: str
    warn: str
    bad: str
    ok_tint: str  # grounds of pills and banners
    warn_tint: str
    bad_tint: str
    info_tint: str
    quiet_tint: str
    warn_line: str
    bad_line: str
    info_line: str
    chip: str
    chip_ink: str
    track: str  # the life bar's unlived part
    selection: str  # the chosen row
    selection_line: str  # its border
    hover: str
    field: str  # ground of inputs
    disabled: str  # text of what cannot be pressed now
    code_ink: str  # QR modules; always dark on light, as cameras expect
    code_ground: str


LIGHT = Palette(
    name="light",
    bg="#f6f6f4",
    panel="#ffffff",
    side="#efefec",
    ink="#1d1d1f",
    ink2="#55555c",
    ink3="#62626a",
    line="#e2e2de",
    edge="#82827e",
    handle="#cfcfca",
    accent="#2f5fd0",
    accent_ink="#ffffff",
    accent_hover="#2853ba",
    accent_down="#2148a4",
    focus="#2f5fd0",
    ok="#1a6a35",
    warn="#8a4b00",
    bad="#b3301f",
    ok_tint="#dcebe1",
    warn_tint="#f6ead9",
    bad_tint="#f9e2de",
    info_tint="#e6ecfa",
    quiet_tint="#e7e7e4",
    warn_line="#e3c79f",
    bad_line="#ebb8b0",
    info_line="#bccbf0",
    chip="#eef1f8",
    chip_ink="#33456f",
    track="#e4e4e0",
    selection="#dfe6f7",
    selection_line="#dfe6f7",
    hover="#e6e6e2",
    field="#ffffff",
    disabled="#8b8b92",
    code_ink="#101114",
    code_ground="#ffffff",
)

DARK = Palette(
    name="dark",
    bg="#1b1c1f",
    panel="#242529",
    side="#1f2023",
    ink="#f2f2f4",
    ink2="#b7b7c0",
    ink3="#a3a3ad",
    line="#34353b",
    edge="#787983",
    handle="#46474f",
    accent="#7ea2ff",
    accent_ink="#0f1422",
    accent_hover="#93b1ff",
    accent_down="#6b91f5",
    focus="#7ea2ff",
    ok="#5cc681",
    warn="#e5ab54",
    bad="#f28478",
    ok_tint="#22392b",
    warn_tint="#3a3123",
    bad_tint="#3f2a29",
    info_tint="#273047",
    quiet_tint="#313238",
    warn_line="#5c4a2c",
    bad_line="#643c38",
    info_line="#3c4a70",
    chip="#2d3344",
    chip_ink="#c3d0f2",
    track="#3a3b42",
    selection="#2c3550",
    selection_line="#2c3550",
    hover="#2a2b30",
    field="#1b1c1f",
    disabled="#7d7d87",
    code_ink="#101114",
    code_ground="#ffffff",
)


def _with_more_contrast(usual: Palette, **colors: str) -> Palette:
    """For users who ask their system for more contrast: no grey text, and every border is seen."""
    lines = ("line", "edge", "handle", "warn_line", "bad_line", "info_line", "selection_line")
    borders = dict.fromkeys(lines, usual.ink)
    texts = dict.fromkeys(("ink2", "ink3", "chip_ink"), usual.ink)
    return replace(usual, side=usual.bg, **(borders | texts | colors))


HIGH_LIGHT = _with_more_contrast(
    LIGHT,
    accent="#1b3f99",
    accent_hover="#163480",
    accent_down="#112968",
    focus="#1b3f99",
    ok="#0d4a22",
    warn="#5e3300",
    bad="#82190c",
    disabled="#5b5b63",
)
HIGH_DARK = _with_more_contrast(
    DARK,
    accent="#b3c8ff",
    accent_hover="#c9d8ff",
    accent_down="#9fb9ff",
    focus="#b3c8ff",
    ok="#8fe3ac",
    warn="#f6cb8c",
    bad="#ffb8af",
    disabled="#b3b3bd",
)

# (text, ground) as drawn somewhere; `disabled` is exempt, as WCAG has it.
PAIRS: tuple[tuple[str, str], ...] = (
    ("ink", "bg"), ("ink", "panel"), ("ink", "side"), ("ink", "selection"), ("ink", "hover"),
    ("ink", "field"),
    ("ink", "warn_tint"), ("ink", "bad_tint"), ("ink", "info_tint"),
    ("ink2", "bg"), ("ink2", "panel"), ("ink2", "side"), ("ink2", "selection"), ("ink2", "hover"),
    ("ink2", "warn_tint"), ("ink2", "bad_tint"), ("ink2", "info_tint"), ("ink2", "quiet_tint"),
    ("ink3", "bg"), ("ink3", "panel"), ("ink3", "side"), ("ink3", "field"),
    ("accent", "panel"), ("accent", "bg"), ("accent", "info_tint"),
    ("accent_ink", "accent"), ("accent_ink", "accent_hover"), ("accent_ink", "accent_down"),
    ("ok", "side"), ("ok", "panel"), ("ok", "selection"), ("ok", "hover"), ("ok", "ok_tint"),
    ("warn", "side"), ("warn", "panel"), ("warn", "selection"), ("warn", "hover"), ("warn", "warn_tint"),
    ("bad", "panel"), ("bad", "bg"), ("bad", "hover"), ("bad", "bad_tint"),
    ("chip_ink", "chip"),
    ("code_ink", "code_ground"),
)  # fmt: skip

# (edge of what can be pressed or typed in, ground): at least 3:1 (WCAG 2, 1.4.11).
EDGES: tuple[tuple[str, str], ...] = (
    ("edge", "bg"), ("edge", "panel"), ("edge", "side"), ("edge", "field"), ("edge", "hover"),
    ("focus", "bg"), ("focus", "panel"), ("focus", "side"), ("focus", "field"), ("focus", "hover"),
    ("focus", "selection"),
)  # fmt: skip

# Grounds of users' letters. White on each is at least 4.5:1; chosen by the account's key, so always the same.
AVATARS = (
    "#8a5a2b", "#3a6ea5", "#555b66", "#3f7d53", "#6a5a8c", "#9a4a5e", "#2f7a80", "#7a6420", "#8a4f8f",
    "#4b6a2f",
)  # fmt: skip

ENDED_TILE = "#64646b"  # of a program whose access has ended

# The colour of the panel is not known: solid grounds with a white sign. The badges differ by shape too.
TRAY = {"fine": "#2f5fd0", "renewing": "#2f5fd0", "needs_you": "#b45309", "waiting": "#62626a"}
TILE_WHITE = "#ffffff"
TILE_INK = "#000000"


def luminance(color: str) -> float:
    """Relative luminance of `#rrggbb` (WCAG 2)."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two colours, 1 to 21."""
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def letter_on(ground: str) -> str:
    """White or black, whichever is read better on `ground`: at least 4.5:1 on any colour."""
    return TILE_WHITE if contrast(TILE_WHITE, ground) >= 4.5 else TILE_INK
