"""A user with a browser, in code: signs in at the demo provider for `keyfob demo --headless` and for tests.

It reads the pages' forms and submits them by plain HTTP, keeps cookies and follows redirects, like a browser
without JavaScript. It talks only to loopback and refuses to be sent elsewhere.
"""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

MOST_STEPS = 12
MOST_BYTES = 256 * 1024
TIMEOUT = 30.0  # seconds a page


@dataclass(slots=True)
class Form:
    """A page's form: where it goes, its hidden fields, and its buttons as (name, value)."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Page:
    """What the browser shows: the last answer after all redirects."""

    url: str
    status: int
    text: str
    headers: dict[str, str]

    def forms(self) -> list[Form]:
        """The forms on the page, in order."""
        reader = _Forms()
        reader.feed(self.text)
        return reader.forms


class ScriptedBrowser:
    """One browser. Not thread-safe. `urls` is where it has been, for tests. With `within` it stays at
    addresses that begin so: sent elsewhere, it stops there with a page of status 0, as a browser on another
    machine would.
    """

    def __init__(self, within: str = "http://") -> None:
        self._within = within
        self._cookies: dict[tuple[str, str], str] = {}
        self.urls: list[str] = []

    def sign_in(self, url: str, person: str = "alice", *, allow: bool = True) -> Page:
        """Follow an authorization or device URL to its end: choose `person`, press Allow or Deny. Returns the
        last page, which is the app's own where it called back. Raises RuntimeError if the pages lead nowhere.
        """
        page = self.get(url)
        for _ in range(MOST_STEPS):
            step = _next_button(page, person, allow)
            if step is None:
                return page
            form, button = step
            page = self.submit(page, form, button)
        raise RuntimeError("the sign-in pages lead in a circle")

    def get(self, url: str) -> Page:
        """Open an address and follow redirects."""
        return self._go("GET", url, None, {"Sec-Fetch-Site": "none"})

    def submit(self, page: Page, form: Form, button: tuple[str, str]) -> Page:
        """Press a button of a form on `page`."""
        target = urljoin(page.url, form.action)
        body = urlencode({**form.fields, button[0]: button[1]})
        if form.method == "get":
            return self.get(f"{target}?{body}")
        parts = urlsplit(page.url)
        return self._go(
            "POST",
            target,
            body,
            {"Origin": f"{parts.scheme}://{parts.netloc}", "Sec-Fetch-Site": "same-origin"},
        )

    def _go(self, method: str, url: str, body: str | None, more: dict[str, str]) -> Page:
        for _ in range(MOST_STEPS):
            if not url.startswith(self._within):
                return Page(url, 0, "", {})
            page = self._fetch(method, url, body, more)
            if page.status not in (301, 302, 303, 307, 308):
                return page
            url = urljoin(url, page.headers["location"])
            method, body = ("GET", None) if page.status in (301, 302, 303) else (method, body)
            more = {"Sec-Fetch-Site": "cross-site"}
        raise RuntimeError("too many redirects")

    def _fetch(self, method: str, url: str, body: str | None, more: dict[str, str]) -> Page:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise RuntimeError("the visitor goes to loopback addresses only")
        self.urls.append(url)
        headers = {
            "User-Agent": "KeyfobDemoVisitor",
            "Accept": "text/html",
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
            **more,
        }
        cookies = [f"{name}={value}" for (host, name), value in self._cookies.items() if host == parts.netloc]
        if cookies:
            headers["Cookie"] = "; ".join(cookies)
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=TIMEOUT)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read(MOST_BYTES).decode("utf-8", "replace")
            for line in answer.headers.get_all("Set-Cookie", []):
                name, _, rest = line.partition("=")
                self._cookies[parts.netloc, name.strip()] = rest.partition(";")[0]
            return Page(url, answer.status, text, {k.lower(): v for k, v in answer.headers.items()})
        finally:
            connection.close()


def _next_button(page: Page, person: str, allow: bool) -> tuple[Form, tuple[str, str]] | None:
    for form in page.forms():
        if ("person", person) in form.buttons:
            return form, ("person", person)
        if ("decision", "allow") in form.buttons:
            if form.fields.get("person") != person:
                return form, ("decision", "leave")
            return form, ("decision", "allow" if allow else "deny")
    return None


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(values.get("action", ""), values.get("method", "get").lower()))
        elif not self.forms or "name" not in values:
            return
        elif tag == "input":
            self.forms[-1].fields[values["name"]] = values.get("value", "")
        elif tag == "button":
            self.forms[-1].buttons.append((values["name"], values.get("value", "")))
