"""Whether a key can be one of a provider, by the patterns of the presets: decided before anything is sent.

A key that was pasted into the wrong field would go to a provider that it does not belong to. Pure and
thread-safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from keyfob.core import patterns
from keyfob.core.errors import Usage
from keyfob.core.key_parts import parts_of
from keyfob.core.provider import ApiKeyProfile, Provider, SecondPart
from keyfob.core.secret import Secret
from keyfob.core.words import KeyWord

# Texts that belong to nobody: characters without a beginning of their own, in every usual length. A pattern
# that one of them matches does not tell whose key it is.
_LETTERS = ("0123456789abcdef", "kx9tm3vb5zq7w2", "Kx9tm3Vb5Zq7W2", "K")
_ANYBODYS = (
    "Zq7w-Kx9_Tm3.Vb5",
    "0f9e8d7c-1a2b-4c3d-8e4f-5a6b7c8d9e0f",  # a UUID
    "eyJh" + "bGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",  # a JWT
    *((letters * 64)[:size] for letters in _LETTERS for size in range(16, 129)),
)


def check_key(provider: Provider, others: Iterable[Provider], key: Secret) -> None:
    """Raises Usage `key_unfit` if `key` does not match the provider's pattern; if it has none, if the key
    matches the pattern of one of `others`. Whose key it seems to be is in the message, the key never is.
    """
    profile = provider.api_key
    if profile is not None and profile.api.second is not None:
        _check_second(provider, profile.api.second, key)
        key = next(iter(parts_of(key)), key)
    if profile is None or (profile.pattern is not None and _matches(profile.pattern, key)):
        return
    looks = recognised(others, key)
    if profile.pattern is None and (looks is None or _of_any_server(profile)):
        return
    word = _word(profile.called)
    message = f"This looks like {looks}" if looks else f"This is not {_a(_name(provider), word)}"
    raise Usage(message, code="key_unfit", facts={"hint": profile.hint, "provider": provider.id})


def _check_second(provider: Provider, part: SecondPart, key: Secret) -> None:
    parts = parts_of(key)
    if len(parts) == 2 and part.pattern is not None and not _matches(part.pattern, parts[1]):
        message = f"This is not a {part.title} of {_name(provider)}"
        raise Usage(message, code="key_unfit", facts={"hint": part.hint, "provider": provider.id})


def telling(presets: Iterable[Provider]) -> Iterator[tuple[str, str]]:
    """The patterns that tell whose key one is, each with whose: `sk-ant-.+`, "an Anthropic key"."""
    for preset in presets:
        profile = preset.api_key
        if profile is not None and profile.pattern is not None and _telling(profile.pattern):
            yield profile.pattern, _a(_name(preset), _word(profile.called))


def recognised(presets: Iterable[Provider], key: Secret) -> str | None:
    """Whose key this is by its form, such as "an Anthropic key"; None if no preset's pattern tells."""
    return next((whose for pattern, whose in telling(presets) if _matches(pattern, key)), None)


def _matches(pattern: str, key: Secret) -> bool:
    text = key.reveal()
    # A pattern is about how a key begins: what is beyond the bound of the matcher is left out.
    return patterns.matches(pattern, text[: patterns.TEXT_MOST])


def _of_any_server(profile: ApiKeyProfile) -> bool:
    """Whether the user names the whole address: then the key may be anybody's."""
    return (profile.api.base or "{").startswith("{")


@lru_cache(maxsize=256)
def _telling(pattern: str) -> bool:
    return not any(patterns.matches(pattern, text) for text in _ANYBODYS)


def _name(provider: Provider) -> str:
    return provider.title.removesuffix(" API")


def _word(called: KeyWord) -> str:
    return "token" if called == "token" else "key"


def _a(name: str, word: str) -> str:
    return f"{'an' if name[:1] in 'AEIOaeio' else 'a'} {name} {word}"
