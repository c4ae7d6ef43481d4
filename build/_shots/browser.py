"""The pages that the browser shows after a sign-in, drawn by a real Chromium in both themes."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

from keyfob.adapters.loopback.pages import CLOSED, CallbackPages
from keyfob.core.resources import resources
from keyfob.protocol.oauth.callback import Why
from keyfob.service.sign_in.attempt import PAGES, page_of, page_of_success

SIZES = {"": (900, 560), "-phone": (360, 560)}


def pages() -> Mapping[str, bytes]:
    """Every page by its name, as the listener sends it."""
    render = CallbackPages(resources())
    long = f"Alexandra Featherstonehaugh-Cholmondeley-{'W' * 40}"
    made = {
        "browser-connected": render.outcome(page_of_success("Alice Example")),
        "browser-connected-long": render.outcome(page_of_success(long)),
        "browser-waiting": render.waiting(),
        "browser-failed": render.outcome(page_of("response_invalid")),
        "browser-closed": render.outcome(CLOSED),
    }
    made |= {f"browser-{code.replace('_', '-')}": render.outcome(page_of(code)) for code in PAGES}
    for why in (Why.STATE, Why.ISSUER, Why.NO_CODE, Why.NOT_EXPECTED, Why.NOT_FOUND):
        made[f"browser-refused-{why.replace('_', '-')}"] = render.refusal(400, why)
    return made


def draw(out: Path, names: Sequence[str], scales: Sequence[str]) -> None:
    """A picture of each page whose name begins with one of `names` (all of them)."""
    wanted = {name: page for name, page in pages().items() if not names or name.startswith(tuple(names))}
    if not wanted:
        return
    if shutil.which("chromium") is None:
        print("the browser's pages are not drawn: apt install chromium chromium-driver", file=sys.stderr)
        return
    from support.chromium import chromium

    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="keyfob-pages-", ignore_cleanup_errors=True) as folder,
        chromium(Path(folder, "profile")) as driver,
    ):
        for shade, scale, (kind, (width, height)) in product(("light", "dark"), scales, SIZES.items()):
            feature = {"name": "prefers-color-scheme", "value": shade}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
            size = {"width": width, "height": height, "deviceScaleFactor": float(scale), "mobile": False}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            for name, page in wanted.items():
                file = Path(folder, f"{name}.html")
                file.write_bytes(page.partition(b"\r\n\r\n")[2])
                driver.get(file.as_uri())
                driver.save_screenshot(str(out / f"{name}{kind}-{shade}@{scale}x.png"))
    print(f"{len(wanted)} pages of the browser in {out}")
