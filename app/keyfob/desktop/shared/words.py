"""Sentences that several parts of the window show. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from keyfob.service.accounts.recovery import Recovered
    from keyfob.service.accounts.views import Disconnection

NO_TRAY = "This desktop does not have a tray. If you close the window, Keyfob quits."


def restored(found: Recovered) -> str:
    """Which lost accounts are listed again, and which are not."""
    parts = []
    if found.listed:
        what = found.listed[0] if len(found.listed) == 1 else f"{len(found.listed)} accounts"
        parts.append(f"Restored {what}.")
    if found.lost:
        many, them = (f"{found.lost} accounts", "them") if found.lost > 1 else ("One account", "it")
        parts.append(f"{many} cannot be restored. Connect {them} again.")
    if found.newer:
        many = f"{len(found.newer)} accounts were" if len(found.newer) > 1 else f"{found.newer[0]} was"
        parts.append(f"{many} written by a newer Keyfob and not changed.")
    return " ".join(parts) or "No account is missing."


def revocation(ended: Disconnection, provider: str) -> str:
    """What a disconnected account's provider did with its sign-ins."""
    place = f"open {ended.page}" if ended.page else f"use your account settings at {provider}"
    by_hand = f"To end access there, {place}."
    several = ended.sign_ins > 1
    older = f"{ended.left} of {ended.sign_ins} sign-ins" if several else "it"
    match ended.revoked:
        case "yes" if several:
            return f"{provider} confirmed that all {ended.sign_ins} sign-ins are revoked."
        case "yes":
            return f"{provider} confirmed that the sign-in is revoked."
        case "pending" if ended.reason is None:
            return f"{provider} has not confirmed the revocation yet. Keyfob keeps trying."
        case "pending":
            return f"{provider} did not revoke {older}. {by_hand} Keyfob keeps trying to revoke the rest."
        case "unsupported":
            pass
        case _:
            assert_never(ended.revoked)
    match ended.reason:
        case "nothing_left":
            return "There was no token to revoke."
        case "refused":
            return f"{provider} refused to revoke {older}. {by_hand}"
        case "unconfirmed":
            return f"{provider} did not say whether {older} is revoked. {by_hand}"
        case "local" | "not_offered" | None:
            return f"{provider} cannot revoke {older}. {by_hand}"
    assert_never(ended.reason)
