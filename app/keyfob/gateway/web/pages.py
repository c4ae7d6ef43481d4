"""The few pages of web sign-in's own: the choice of a provider, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:12vh auto;padding:0 1rem;color:#1d1d1f;"
    "background:#fff}h1{font-size:1.4rem}form{margin:1.75rem 0}input,button{font:inherit;"
    "padding:.5rem .75rem;"
    "border:1px solid #6e6e73;border-radius:.4rem;width:100%;box-sizing:border-box;margin:.25rem 0}"
    "input{background:transparent;color:inherit}::placeholder{color:#6e6e73;opacity:1}"
    "button{background:#1a5fb4;border-color:#1a5fb4;color:#fff}a{color:#1a5fb4}"
    "@media(prefers-color-scheme:dark){body{background:#1d1d1f;color:#f5f5f7}::placeholder{color:#a1a1a6}"
    "a{color:#7cb7ff}}"
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A button "Sign in with …", and what it asks for: name, title and example."""

    action: str
    title: str
    asks: Sequence[tuple[str, str, str]] = ()


def choices(listed: Iterable[Choice], return_to: str, message: str | None) -> bytes:
    """The page to sign in on."""
    forms = []
    for choice in listed:
        fields = "".join(
            f"<label>{escape(title)}"
            f"<input name={_quoted(name)} placeholder={_quoted(example)} required "
            "autocomplete=username autocapitalize=none spellcheck=false></label>"
            for name, title, example in choice.asks
        )
        forms.append(
            f"<form action={_quoted(choice.action)}>"
            f"<input type=hidden name=return_to value={_quoted(return_to)}>"
            f"{fields}<button>Sign in with {escape(choice.title)}</button></form>"
        )
    said = f"<p>{escape(message)}</p>" if message else ""
    return page("Sign in", said + "".join(forms))


def signed_in(name: str, sign_out: str) -> bytes:
    """The same for somebody who is signed in."""
    return page(
        "You are signed in",
        f"<p>{escape(name)}</p><form method=post action={_quoted(sign_out)}><button>Sign out</button></form>",
    )


def problem(title: str, message: str, back: str) -> bytes:
    """What went wrong, and a way on."""
    return page(title, f"<p>{escape(message)}</p><p><a href={_quoted(back)}>Try again</a></p>")


def page(title: str, body: str) -> bytes:
    """A whole page; `body` is HTML."""
    return (
        f'<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><h1>{escape(title)}</h1>{body}"
    ).encode()


def _quoted(text: str) -> str:
    return f'"{escape(text)}"'
