"""The form before a sign-in, made from the preset: what the user must enter for a method."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from keyfob.core.errors import SettingWrong, Usage
from keyfob.core.hosts import is_plain_host, plain_host
from keyfob.core.methods import METHOD_FACTS, Method, holds_key
from keyfob.core.patterns import matches
from keyfob.core.provider import Input, Provider
from keyfob.desktop.connect import cards
from keyfob.desktop.connect.models import AccessChoice, Form, KeyForm, KnownClient, Registration, Way
from keyfob.desktop.shared.avatar import first_letter
from keyfob.desktop.shared.method_words import METHOD_WORDS
from keyfob.protocol.http.urls import fault_of
from keyfob.providers import keys
from keyfob.providers.substitute import normalised

BROWSER_NEXT = "Your browser opens in the next step."
SECOND = "second_key"  # the name of the field for the second part of a key
CODE_NEXT = "You get a code in the next step."


def redirect_uri(provider: Provider, setting_port: int) -> str:
    """The exact redirect URI that the user enters when registering an app."""
    redirect = provider.redirect
    if redirect.uri:
        return redirect.uri
    port = setting_port if redirect.port == "setting" else redirect.ports[0] if redirect.ports else None
    if port is None or not redirect.registered_port:
        return f"http://{redirect.host}{redirect.path}"
    return f"http://{redirect.host}:{port}{redirect.path}"


def form(provider: Provider, method: Method, *, known: KnownClient | None, setting_port: int) -> Form:
    """What `method` at `provider` asks of the user."""
    facts, policy = METHOD_FACTS[method], provider.policy
    wants_key = holds_key(method)
    known = None if facts.by_client else known  # users sign in with that app; it is not a service account
    published = method in provider.publisher
    users = facts.needs_client and (policy.client_id == "user" or published)
    registers = facts.by_client or (users and not (published and known is None))
    after = CODE_NEXT if facts.shows_code else BROWSER_NEXT
    first = "First register an app. Then sign in with it." if registers and known is None else after
    written = METHOD_WORDS[method].form
    text = written.replace("{key}", cards.key_words(provider)[1]) if written else policy.note or first
    ways = cards.card(provider, has_app=known is not None).ways
    return Form(
        provider=provider.id,
        method=method,
        title=f"Connect {provider.title}",
        text=text,
        letter=first_letter(provider.title),
        color=provider.color,
        provider_title=provider.title,
        inputs=provider.inputs_for(method),
        registration=_registration(provider, method, setting_port) if registers else None,
        known_client=known if registers else None,
        secret=provider.secret_rule(method) if registers else "never",
        key=_key(provider) if wants_key else None,
        password_wanted=facts.asks_for == "password",
        blocked=policy.blocked if not wants_key and not facts.by_client and known is None else None,
        link=web_page(policy.terms),
        others=tuple(way for way in ways if way.method != method),
    )


def with_choices(form: Form, provider: Provider) -> Form:
    """The form with the provider's other methods to choose from, for an account that does not exist yet. What
    the terms forbid is not among them.
    """
    if form.blocked:
        return form
    barred = provider.policy.blocked is not None and form.known_client is None
    shown = tuple(m for m in provider.methods if _is_secret(m) or not barred)
    alike = [m for m in shown if _is_secret(m) == _is_secret(form.method)]
    unlike = [m for m in shown if _is_secret(m) != _is_secret(form.method)]
    return replace(
        form,
        choices=tuple(_choice(provider, m) for m in alike) if len(alike) > 1 else (),
        instead=_instead(provider, unlike[0]) if unlike else None,
        offers_app=form.known_client is not None
        and form.known_client.source == "yours"
        and provider.origin == "keyfob",
    )


def with_foreign(form: Form, presets: Iterable[Provider]) -> Form:
    """The form knows the keys of other providers, so that it can say whose key was pasted."""
    if form.key is None:
        return form
    others = (each for each in presets if each.id != form.provider)
    return replace(form, key=replace(form.key, foreign=tuple(keys.telling(others))))


def with_access(form: Form, provider: Provider, had: Collection[str] | None = None, wanted: str = "") -> Form:
    """The form with the provider's access to choose from. `had`: the ids of the bundles that the account has
    already; None for an account that does not exist yet. `wanted`: a bundle that is ticked besides.
    """
    facts = METHOD_FACTS[form.method]
    if form.blocked or not provider.access or facts.asks_for or form.method in ("app_password", "atproto"):
        return form
    base = provider.client_credentials.scopes if facts.by_client else provider.scopes
    always = (AccessChoice("", "See who you are", base, fixed=True, note="always"),) if base else ()
    return replace(
        form,
        access=(
            *(() if facts.by_client else always),
            *(
                AccessChoice(
                    each.id,
                    each.title,
                    each.scopes,
                    allows=each.allows or "",
                    risky=each.risky or "",
                    chosen=each.id == wanted or (each.default and had is None and not facts.by_client),
                    fixed=had is not None and each.id in had,
                    note="has it" if had is not None and each.id in had else "",
                )
                for each in provider.access
            ),
        ),
        asks_more=had is not None,
    )


def _is_secret(method: Method) -> bool:
    """Whether the user creates what signs in, instead of allowing it."""
    facts = METHOD_FACTS[method]
    return facts.asks_for is not None or facts.by_client or method == "app_password"


def _choice(provider: Provider, method: Method) -> Way:
    """A method to choose in the form, with a sentence."""
    words = METHOD_WORDS[method]
    names: dict[Method, str] = {"oauth": "With your browser", "device": "With a code"}
    title = "your server" if cards.fits_any(provider) else provider.title
    lead = words.lead.replace("{provider}", title)
    return Way(method, names.get(method, cards.method_title(provider, method)), words.action, lead)


def _instead(provider: Provider, method: Method) -> Way:
    """The button that switches between a key and a sign-in."""
    if holds_key(method):
        words = f"Use {cards.key_words(provider)[1]} instead"
    elif METHOD_FACTS[method].by_client:
        words = "Use a service account instead"
    elif provider.needs_own_app(method):
        words = "Use your own app instead"
    else:
        words = f"{METHOD_WORDS[method].action} instead".capitalize()
    return Way(method, words, "", "")


def _registration(provider: Provider, method: Method, setting_port: int) -> Registration:
    redirect, policy, client = provider.redirect, provider.policy, provider.client
    at = "your server" if cards.fits_any(provider) else provider.title
    if METHOD_FACTS[method].by_client:
        page = _page(provider.client_credentials.create_at or policy.register_at, provider.inputs_for(method))
        return Registration(at, page, provider.client_credentials.note or "", None, service=True)
    # A device code needs none, but the page wants one of every app that can also use the browser.
    named = redirect.registered and "oauth" in provider.methods
    listed = named and redirect.port == "list" and redirect.registered_port
    return Registration(
        at=at,
        page=_page(policy.register_at, provider.inputs_for(method)),
        note=policy.register_note or "",
        redirect=redirect_uri(provider, setting_port) if named else None,
        also_ports=redirect.ports[1:] if listed else (),
        id_pattern=client.id_pattern,
        id_hint=client.id_hint,
    )


def _key(provider: Provider) -> KeyForm:
    key = provider.api_key
    name, an = cards.key_words(provider)
    if key is None:
        return KeyForm(name, an, None, "", None)
    page = _page(key.create_at, provider.inputs_for("api_key"))
    return KeyForm(name, an, page, key.hint, key.pattern, key.api.second)


def _page(url: str | None, inputs: Sequence[Input]) -> str | None:
    """`url` if it can be opened once the user has entered what it has placeholders for, else None."""
    sample = url or ""
    for entry in inputs:
        server = "https://example.org" if entry.kind == "url" else "example.org"
        sample = sample.replace(f"{{{entry.name}}}", server)
    return url if web_page(sample) else None


def plain_address(text: str) -> str | None:
    """The host of an address that begins with http:// and could be used without TLS."""
    return plain_host(text.strip()) if text.strip().lower().startswith("http://") else None


def page_at(
    url: str, inputs: Sequence[Input], values: Mapping[str, str], allowed: str | None = None
) -> str | None:
    """The page `url` with what the user entered in place of `{name}`; None while that is missing or wrong.
    `allowed`: the host that they allowed without TLS.
    """
    for entry in inputs:
        place = f"{{{entry.name}}}"
        if place not in url:
            continue
        try:
            value = normalised(entry, values.get(entry.name), allowed)
        except (Usage, SettingWrong):
            return None
        if value == allowed:
            url = url.replace(f"https://{place}", f"http://{place}")
        url = url.replace(place, value)
    return url if is_plain_host(url, allowed) else web_page(url)


def web_page(url: str | None) -> str | None:
    """`url` if it can be opened as a page of the web, else None. Anybody can write a preset: an address that
    is not one, or has a placeholder in it, is not offered.
    """
    return url if fault_of(url) is None else None


def pattern_of(form: Form, name: str) -> str | None:
    """What a client id or a key matches, if the preset says so. `name` is the field's."""
    if name == "client_id" and form.registration:
        return form.registration.id_pattern
    if form.key is None:
        return None
    if name == SECOND and form.key.second:
        return form.key.second.pattern
    return form.key.pattern if name == "api_key" else None


def fault(form: Form, name: str, title: str, text: str) -> str:
    """What is wrong with the text of a field; empty if nothing is. `title` is what the field is called."""
    given = next((each for each in form.inputs if each.name == name), None)
    optional = (name == "client_secret" and not form.needs_secret) or (given and given.default == "")
    if not text:
        return "" if optional else f"{title} is needed."
    if given and given.pattern and not matches(given.pattern, text):
        return f"It should look like {given.example}." if given.example else "This format is not valid."
    pattern = pattern_of(form, name)
    if pattern is None or matches(pattern, text):
        return ""
    kind, hint = (form.key.an, form.key.hint) if form.key else ("a client id", "")
    if form.key and name == "api_key":
        whose = next((whose for foreign, whose in form.key.foreign if matches(foreign, text)), None)
        if whose is not None:
            return f"This looks like {whose}." + (f" {hint}." if hint else "")
    if name == SECOND and form.key and form.key.second:
        kind, hint = f"the {form.key.second.title}", form.key.second.hint
    if form.registration is not None and not form.key:
        hint = form.registration.id_hint
    return f"This is not {kind} of {form.provider_title}." + (f" {hint}." if hint else "")
