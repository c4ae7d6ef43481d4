"""A person with a real Chromium, for `$BROWSER`: `browse.py PERSON
RESULT URL` signs in at the address and leaves.

Knows the pages of the demo provider and of npm's oidc-provider by their forms alone. Writes the heading of
the page it ends at to the file RESULT. A person named `nobody` looks at the page and goes away again.
`PERSON+declines` does not allow access; `PERSON+waits` allows it once there is a file RESULT.go.
"""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from pathlib import Path
from urllib.parse import urlsplit

from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support.chromium import chromium

PATIENCE = 60.0  # seconds for the whole


def main(person: str, result: Path, url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="kfb-", ignore_cleanup_errors=True) as folder:
        with chromium(Path(folder)) as driver:
            driver.get(url)
            who, _, how = person.partition("+")
            heading = "" if who == "nobody" else visit(driver, who, how, urlsplit(url).netloc, result)
        temporary = result.with_suffix(".new")
        temporary.write_text(heading, "utf-8")
        temporary.replace(result)


def visit(driver: Chrome, person: str, how: str, provider: str, result: Path) -> str:
    """Fill in forms and press buttons until an app's own page is there; returns its heading."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if urlsplit(driver.current_url).netloc == provider:
                if how == "declines":
                    driver.find_element(By.CSS_SELECTOR, "a[href$='/abort']").click()
                elif how != "waits" or result.with_suffix(".go").exists():
                    step(driver, person)
            else:
                headings = driver.find_elements(By.TAG_NAME, "h1")
                if headings and headings[0].text:
                    return headings[0].text
        except StaleElementReferenceException:
            pass
        except WebDriverException as error:
            if "net::ERR" in str(error):
                return "no answer"
            raise
        time.sleep(0.1)
    return f"stuck at {driver.title}"


def step(driver: Chrome, person: str) -> None:
    """Do what the provider's page wants."""
    login = driver.find_elements(By.NAME, "login")
    if login:
        login[0].clear()  # the app may have hinted at who it is
        login[0].send_keys(person)
        driver.find_element(By.NAME, "password").send_keys("any")
    for selector in (
        f"button[name=person][value={person}]",
        "button[name=decision][value=allow]",
        "form button[type=submit]",
        "form [type=submit]",
    ):
        found = driver.find_elements(By.CSS_SELECTOR, selector)
        if found:
            found[0].click()
            return


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
    except Exception:
        # A launcher's own streams go nowhere.
        Path(sys.argv[2]).write_text(traceback.format_exc(), "utf-8")
