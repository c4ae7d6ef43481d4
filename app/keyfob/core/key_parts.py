"""Keys of two parts, such as an API key and an application key: stored, and passed on, as one secret with a
space between the parts. A key of a provider has no space in it. Pure and thread-safe.
"""

from __future__ import annotations

from keyfob.core.secret import Secret


def joined(first: Secret, second: Secret) -> Secret:
    """Both parts as one secret."""
    return Secret(f"{first.reveal()} {second.reveal()}")


def parts_of(key: Secret) -> tuple[Secret, ...]:
    """The parts of a key, whatever blanks and line breaks are between them. One part for other keys."""
    return tuple(Secret(part) for part in key.reveal().split())
