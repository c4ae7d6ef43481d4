"""What the window says about each sign-in method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keyfob.core.methods import Method


@dataclass(frozen=True, slots=True)
class MethodWords:
    """What the window calls a sign-in method."""

    name: str  # in a list
    lead: str  # in the gallery: what signing in takes
    form: str | None = None  # above the form; None: the provider's note, or what happens next


METHOD_WORDS: Mapping[Method, MethodWords] = {
    "oauth": MethodWords(
        "browser",
        "Sign in once with your browser. Keyfob keeps the token in your keychain and renews it.",
    ),
    "device": MethodWords(
        "device code",
        "Enter a code at the provider once. Keyfob keeps the token in your keychain and renews it.",
    ),
    "atproto": MethodWords(
        "your handle",
        "Sign in once with your handle. Keyfob keeps the token in your keychain and renews it.",
        "Enter your handle. Your server then asks you for your password.",
    ),
    "api_key": MethodWords(
        "API key",
        "Paste an API key. Keyfob tests it and saves it in your keychain.",
        "Paste a key from the provider. Keyfob tests it and saves it in your keychain.",
    ),
    "app_password": MethodWords(
        "app password",
        "Sign in once at your server. Keyfob keeps an app password in your keychain.",
        "Your server opens in the browser and creates an app password for Keyfob.",
    ),
    "password": MethodWords(
        "password",
        "Sign in once with your password. Keyfob does not save the password.",
        "Keyfob uses the password once to sign in and does not save it.",
    ),
}
