"""What the window says about each sign-in method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keyfob.core.methods import Method


@dataclass(frozen=True, slots=True)
class MethodWords:
    """What the window calls a sign-in method. `{provider}` stands for the provider's title, `{key}` for what
    the provider calls its keys.
    """

    name: str  # in a sentence or a row of facts
    title: str  # on a tile, and in a list of methods
    action: str  # what the user does: "GitHub: paste a token"
    lead: str  # what then happens, in a sentence
    form: str | None = None  # above the form; None: the provider's note, or what happens next


METHOD_WORDS: Mapping[Method, MethodWords] = {
    "oauth": MethodWords(
        "browser",
        "Browser sign-in",
        "sign in with your browser",
        "Your browser opens {provider}, and you allow access there.",
    ),
    "device": MethodWords(
        "device code",
        "Code",
        "enter a code",
        "Keyfob shows a short code. You enter it at {provider}, on any device.",
    ),
    "atproto": MethodWords(
        "your handle",
        "Your handle",
        "sign in with your handle",
        "You enter your handle. Your server then asks for your password in the browser.",
        "Enter your handle. Your server then asks you for your password.",
    ),
    "api_key": MethodWords(
        "API key",
        "{key}",
        "paste {key}",
        "Keyfob tests it and saves it in your keychain.",
        "Paste {key} from the provider. Keyfob tests it and saves it in your keychain.",
    ),
    "app_password": MethodWords(
        "app password",
        "App password",
        "sign in at your server",
        "Your server opens in the browser and creates an app password for Keyfob.",
        "Your server opens in the browser and creates an app password for Keyfob.",
    ),
    "password": MethodWords(
        "password",
        "Password",
        "enter your password",
        "Keyfob uses the password once and does not save it.",
        "Keyfob uses the password once to sign in and does not save it.",
    ),
    "client_credentials": MethodWords(
        "service account",
        "Service account",
        "use a service account",
        "You create it at {provider}. Keyfob saves its secret in your keychain and gets tokens with it.",
        "A service account is an app that signs in as itself, not as you. Keyfob saves its secret in your "
        "keychain and gets tokens with it.",
    ),
}
