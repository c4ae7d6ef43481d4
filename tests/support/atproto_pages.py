"""A person in front of the pages of Bluesky's data server."""

from __future__ import annotations

from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    StaleElementReferenceException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

SECONDS = 20
REDRAWN = (StaleElementReferenceException, ElementNotInteractableException, ElementClickInterceptedException)


def sign_in_at(
    browser: webdriver.Chrome, url: str, handle: str, password: str, *, allows: bool = True
) -> None:
    """Go to `url`, sign in and allow access, or deny it: up to the last button."""
    wait = WebDriverWait(browser, SECONDS, ignored_exceptions=REDRAWN)

    def press(*labels: str) -> bool:
        for button in browser.find_elements(By.TAG_NAME, "button"):
            if button.text in labels:
                button.click()
                return True
        return False

    browser.get(url)
    wait.until(lambda b: b.find_elements(By.NAME, "password") or press("Sign in"))
    wait.until(lambda b: b.find_elements(By.NAME, "password"))
    name = browser.find_element(By.NAME, "username")
    if not name.get_attribute("value"):
        name.send_keys(handle)
    browser.find_element(By.NAME, "password").send_keys(password)
    browser.find_element(By.CSS_SELECTOR, "button[type=submit]").click()
    wait.until(lambda _: press("Authorize" if allows else "Deny access"))
