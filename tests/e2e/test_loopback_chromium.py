"""The callback listener under a real Chromium: redirect from a form, held page, style under its policy."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from keyfob.adapters.loopback.listener import CallbackListener
from keyfob.adapters.loopback.loopback import Loopback
from keyfob.adapters.system.entropy import entropy
from keyfob.core.http import Outcome
from keyfob.core.provider import RedirectProfile
from keyfob.core.resources import resources
from keyfob.core.secret import Secret
from keyfob.protocol.effects import Expectation

pytestmark = [pytest.mark.network, pytest.mark.browser]

STATE = "live-state-" + "x" * 16


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    profile = tmp_path_factory.mktemp("chromium")
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        f"user-data-dir={profile}",
        "window-size=900,600",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def listener() -> Iterator[CallbackListener]:
    maker = Loopback(lambda: datetime.now(UTC), entropy, resources())
    listener = maker.bind(RedirectProfile(port="any"), setting_port=0)
    listener.expect(Expectation(Secret(STATE)))
    thread = threading.Thread(target=listener.serve)
    thread.start()
    yield listener
    listener.close()
    thread.join(2)


@pytest.fixture
def provider(listener: CallbackListener) -> Iterator[str]:
    """A login page of another origin whose form is posted, and which then redirects, as providers do."""
    target = f"{listener.redirect_uri}?code=c0de&state={STATE}"

    class Login(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (
                f'<img src="{target}"><iframe src="{target}"></iframe>'
                f'<script>fetch("{target}").catch(() => 0)</script>'
                '<form method="post"><button id="allow">Allow</button></form>'
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.send_response(302)
            self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Login)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://localhost:{server.server_address[1]}/"
    server.shutdown()
    thread.join(2)
    server.server_close()


def test_from_the_form_to_the_outcome(
    chromium: webdriver.Chrome, listener: CallbackListener, provider: str, tmp_path: Path
) -> None:
    chromium.get(provider)  # S-18: its image, frame and fetch of the callback must not spend the state
    chromium.execute_script("setTimeout(() => document.getElementById('allow').click(), 0)")
    callback = listener.wait(deadline=timedelta(seconds=20), cancel=threading.Event())
    assert callback.params["code"] == "c0de"
    assert not listener.concluded(0.3)
    listener.conclude(Outcome(True, "Connected as Alice", "You can close this tab and go back to Keyfob."))
    assert listener.concluded(10)
    WebDriverWait(chromium, 10).until(lambda driver: "Connected as Alice" in driver.title)
    assert chromium.find_element(By.TAG_NAME, "h1").text == "Connected as Alice"
    assert "c0de" not in chromium.current_url  # S-24
    assert STATE not in chromium.current_url
    style = "return getComputedStyle(document.querySelector('main')).maxWidth"
    assert chromium.execute_script(style) == "440px"  # the policy lets exactly our style in
    chromium.refresh()
    assert chromium.find_element(By.TAG_NAME, "h1").text == "Connected as Alice"


def test_s24_neither_a_late_nor_a_foreign_answer_stays_in_the_address(
    chromium: webdriver.Chrome, listener: CallbackListener
) -> None:
    chromium.get_log("browser")
    chromium.get(f"{listener.redirect_uri}?code=c0de&state=other")
    assert chromium.find_element(By.TAG_NAME, "h1").text == "This belongs to another sign-in"
    assert chromium.current_url == listener.redirect_uri
    listener.retire(Outcome(False, "That was too late", "Start again in Keyfob."))
    chromium.get(f"{listener.redirect_uri}?code=c0de&state={STATE}")
    assert chromium.find_element(By.TAG_NAME, "h1").text == "That was too late"
    assert "c0de" not in chromium.current_url
    visited = [entry["url"] for entry in chromium.execute_cdp_cmd("Page.getNavigationHistory", {})["entries"]]
    assert not [url for url in visited if "c0de" in url]
    # The policy lets in the page's own icon, style and script.
    assert not [line for line in chromium.get_log("browser") if "Content Security Policy" in line["message"]]
    icon = "return (async () => { let i = new Image(); i.src = document.querySelector('link[rel=icon]').href;"
    assert chromium.execute_script(f"{icon} await i.decode(); return i.naturalWidth > 0 }})()")


def test_no_page_is_cut_at_a_phones_width(chromium: webdriver.Chrome, listener: CallbackListener) -> None:
    listener.retire(
        Outcome(True, f"Connected as {'W' * 100}", "You can close this tab and go back to Keyfob.")
    )
    size = {"width": 320, "height": 480, "deviceScaleFactor": 1, "mobile": True}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        chromium.get(f"{listener.redirect_uri}?code=c0de&state={STATE}")
        fits = "return document.documentElement.scrollWidth <= 320 && [...document.querySelectorAll('h1, p')]"
        assert chromium.execute_script(f"{fits}.every(each => each.scrollWidth <= each.clientWidth)")
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
