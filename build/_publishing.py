"""The list of docs/publishing.md: for each provider that wants an app registration, what its preset says
about one. Written by build/providers-table. What a preset does not say is not known, and is said to be.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from keyfob.cli.providers import redirect_of
from keyfob.cli.words import METHOD_WORDS
from keyfob.core.provider import Provider
from keyfob.core.settings import Settings
from keyfob.providers.published_clients import can_be_published, why_not

BEGIN, END = "<!-- registrations: written by build/providers-table -->\n", "<!-- end of registrations -->\n"
# A sentence that has one of these is about what a publisher has to do beside a form.
REVIEW = re.compile(
    r"\b(approv|review|staff|on request|verif(?:y|ied|ication)|up to five|few users|paid|premium)",
    re.IGNORECASE,
)
APPS = re.compile(r"\b(app|apps|secret|public client|redirects?|loopback|port)\b", re.IGNORECASE)
# Sentences of the comments that are about something else.
ELSE = ("Dead grants", "The page where", "Page:", "Revocation", "Arctic", "Unlinking", "No revocation")
KINDS = {
    "form": (
        "A form, and it works",
        "The presets and their sources know of no review. Read the provider's terms all the same.",
    ),
    "review": (
        "With a review, an approval or a limit",
        "Somebody at the provider decides, or the registration is limited. Ask early.",
    ),
}


def text(providers: Sequence[Provider], folder: Path) -> str:
    """The part of the page between its marks."""
    usable = [provider for provider in providers if why_not(provider) is None]
    kinds = {provider.id: "review" if _duties(provider, folder) else "form" for provider in usable}
    forms = sum(kind == "form" for kind in kinds.values())
    lines = [
        f"{len(usable)} presets can have a client id of yours: {forms} with a form, "
        f"{len(usable) - forms} with a review, an approval or a limit.\n"
    ]
    for kind, (title, lead) in KINDS.items():
        lines += [f"## {title}\n", f"{lead}\n"]
        for provider in usable:
            if kinds[provider.id] == kind:
                lines += [*_entry(provider, folder), ""]
    lines += ["## Not possible\n", "Users of these register an app themselves, as before.\n"]
    for why, those in _impossible(providers).items():
        lines.append(f"- **{why}**: {', '.join(those)}")
    return "\n".join(lines) + "\n"


def _entry(provider: Provider, folder: Path) -> Iterator[str]:
    policy, methods = provider.policy, can_be_published(provider)
    known, (_, unverified) = _about_apps(provider, folder), _comments(provider, folder)
    yield f"### {provider.title}\n"
    yield f"- [ ] Register at <{policy.register_at}>"
    yield f"- Note: {policy.register_note or 'none known. Choose a public (native) client without a secret.'}"
    if "oauth" in methods:
        yield f"- Redirect address: {_redirect(provider)}"
    scopes = " ".join(f"`{scope}`" for scope in provider.scopes) or "none by name"
    more = (
        f"; for the access that users can choose: `keyfob providers show {provider.id}`"
        if provider.access
        else ""
    )
    yield f"- Scopes: {scopes}{more}"
    yield f"- Terms: {f'<{policy.terms}>' if policy.terms else 'not known: look for them on that page'}"
    yield f"- Review: {' '.join(_duties(provider, folder)) or 'none known'}"
    if policy.share_reason:
        yield f"- Tools: {policy.share_reason}"
    if known:
        yield f"- Also known: {known}"
    if unverified:
        yield f"- Not verified: {unverified}"
    yield f"- Write the id into {_tables(provider)}"


def _tables(provider: Provider) -> str:
    """The tables of the file that take the id."""
    methods = can_be_published(provider)
    plain = [method for method in methods if provider.secret_rule(method) == "never"]
    words = ", ".join(METHOD_WORDS[method] for method in plain)
    tables = [f"`[{provider.id}]` ({words})"] if plain else []
    tables += [
        f"`[{provider.id}.{method}]` ({METHOD_WORDS[method]}), if the app has no secret"
        for method in methods
        if method not in plain
    ]
    return "; ".join(tables)


def _redirect(provider: Provider) -> str:
    redirect = provider.redirect
    address = redirect_of(provider, Settings().callback_port) or ""
    address = f"`{address.removesuffix(' (any port)')}`"
    if not redirect.registered:
        return f"{address}, if the form asks for one (it has no field for it)"
    if redirect.port == "any":
        return (
            f"{address}, {'' if redirect.registered_port else 'without a port: '}the provider takes any port"
        )
    if redirect.port == "list":
        return f"{address}: all of them"
    return f"{address}, exactly; Keyfob then always uses this port. Another one: the field `redirect`"


def _comments(provider: Provider, folder: Path) -> tuple[list[str], str]:
    """The sentences at the beginning of the preset's file, without its sources, and what is not verified."""
    path = folder / f"{provider.id}.toml"
    lines = itertools.takewhile(lambda line: line.startswith("#"), path.read_text("utf-8").splitlines())
    parts: list[str] = []
    for line in lines:
        body = line.removeprefix("#")
        if body.startswith("  ") and parts:
            parts[-1] += f" {body.strip()}"
        else:
            parts.append(body.strip())
    facts = " ".join(part for part in parts[1:] if not part.startswith(("Rests on", "Unverified")))
    unverified = next((part for part in parts if part.startswith("Unverified")), "")
    return _sentences(facts), unverified.partition(": ")[2]


def _about_apps(provider: Provider, folder: Path) -> str:
    """What else the comments say about registered apps and their redirects."""
    chosen = (
        each for each in _comments(provider, folder)[0] if APPS.search(each) and not REVIEW.search(each)
    )
    return " ".join(each for each in chosen if not each.startswith(ELSE))


def _duties(provider: Provider, folder: Path) -> list[str]:
    """The sentences of the preset about a review, an approval or a limit of its registrations."""
    notes = [*_sentences(provider.policy.register_note or ""), *_sentences(provider.policy.note or "")]
    found = [each for each in (*notes, *_comments(provider, folder)[0]) if REVIEW.search(each)]
    return list(dict.fromkeys(found))


def _sentences(text: str) -> list[str]:
    return [each.strip() for each in re.split(r"(?<=\.)\s+(?=[A-Z])", text) if each.strip()]


def _impossible(providers: Sequence[Provider]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for provider in providers:
        why = why_not(provider)
        if why is None or "needs no app registration" in why or "no sign-in method" in why:
            continue
        reason = (
            "The provider wants a client secret, and a published program cannot keep one"
            if "client secret" in why
            else "Users name their own server, and each server has its own registrations"
            if "own server" in why
            else "The terms forbid it"
        )
        found.setdefault(reason, []).append(provider.title)
    return found
