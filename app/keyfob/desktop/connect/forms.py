"""The form before a sign-in, made from the preset: what the user must enter for a method."""

from __future__ import annotations

from keyfob.core.methods import METHOD_FACTS, Method, holds_key
from keyfob.core.provider import Provider
from keyfob.desktop.connect.models import Form, KnownClient
from keyfob.desktop.shared.avatar import first_letter
from keyfob.desktop.shared.method_words import METHOD_WORDS
from keyfob.protocol.http.urls import fault_of

BROWSER_NEXT = "Your browser opens in the next step."


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
    policy, key = provider.policy, provider.api_key
    facts = METHOD_FACTS[method]
    wants_key = holds_key(method)
    registers_redirect = facts.comes_back and facts.needs_client
    needs_client = facts.needs_client and policy.client_id == "user"
    first = "First register an app. Then sign in with it." if needs_client and known is None else BROWSER_NEXT
    text = METHOD_WORDS[method].form or policy.note or first
    return Form(
        provider=provider.id,
        method=method,
        title=f"Connect {provider.title}",
        text=text,
        letter=first_letter(provider.title),
        color=provider.color,
        inputs=provider.inputs,
        needs_client=needs_client,
        known_client=known,
        secret=provider.client.secret if needs_client else "never",
        register_at=web_page(policy.register_at),
        register_note=policy.register_note,
        redirect_uri=redirect_uri(provider, setting_port) if registers_redirect else None,
        key_wanted=wants_key,
        key_hint=key.hint if key and wants_key else "",
        create_at=web_page(key.create_at) if key and wants_key else None,
        password_wanted=facts.asks_for == "password",
        blocked=policy.blocked if not wants_key and known is None else None,
        link=web_page(policy.terms),
        others=tuple((m, METHOD_WORDS[m].name) for m in provider.methods if m != method),
        also_ports=provider.redirect.ports[1:]
        if registers_redirect and provider.redirect.port == "list" and provider.redirect.registered_port
        else (),
    )


def web_page(url: str | None) -> str | None:
    """`url` if it can be opened as a page of the web, else None. Anybody can write a preset: an address that
    is not one, or has a placeholder in it, is not offered.
    """
    return url if fault_of(url) is None else None
