"""Whether Keyfob sends a request again that an API refused: one rule for
flows, `keyfob request` and `keyfob.Auth`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

Reason = Literal["nonce", "token"]

_CHALLENGE = re.compile(r'(?i)\bdpop\b.*\berror\s*=\s*"?use_dpop_nonce"?', re.DOTALL)
_CHALLENGE_MOST = 4096  # characters of the header that are read


class Repeats:
    """Of one request: at most one repeat with the nonce that the server asks for (RFC 9449 §8, §9), and at
    most one with a token instead of the refused one. For one thread.
    """

    def __init__(self) -> None:
        self._left: list[Reason] = ["nonce", "token"]

    def reason(
        self, status: int, headers: Mapping[str, str], *, asks_for_nonce: bool | None = None
    ) -> Reason | None:
        """Why to send it again, None if the answer stands. `headers`: by lower-case names. `asks_for_nonce`:
        whether the answer does; checked by its headers if None. A nonce comes first, since a token may be
        good and refused for want of one.
        """
        if asks_for_nonce is None:
            asks_for_nonce = status == 401 and is_nonce_challenge(headers)
        applies = {"nonce": asks_for_nonce and bool(headers.get("dpop-nonce")), "token": status == 401}
        found = next((reason for reason in self._left if applies[reason]), None)
        if found is not None:
            self._left.remove(found)
        return found


def is_nonce_challenge(headers: Mapping[str, str]) -> bool:
    """Whether a 401's headers (by lower-case names) ask for the request again with a nonce (RFC 9449 §9)."""
    return bool(_CHALLENGE.search(headers.get("www-authenticate", "")[:_CHALLENGE_MOST]))
