"""AWS keys of an account: of a role in AWS IAM Identity Center, or the key pair that the account holds.

Called by `keyfob credential aws`, and by `keyfob exec --aws` for as long as a command runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keyfob.cli.session import Session
from keyfob.cli.token_source import lease
from keyfob.core.aws_key import key_pair
from keyfob.core.errors import NotFound, SettingWrong, Usage
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.core.times import to_rfc3339

if TYPE_CHECKING:
    from keyfob.core.account import Record


@dataclass(frozen=True, slots=True)
class Role:
    """The choice of a role in AWS IAM Identity Center. Each part may be left out if there is only one."""

    account_id: str | None = None
    name: str | None = None


def keys_of(session: Session, account: str, role: Role) -> dict[str, str]:
    """The members of a `credential_process` answer, without its Version. Blocks. Raises Usage for a role that
    the account cannot have, SettingWrong for an account without AWS keys, and what `lease` raises.
    """
    record = portal_account(session, account)
    if record is not None:
        kept = session.engine.aws_roles
        found = session.finish(
            lambda: kept.keys(record, leasing(session, account), account_id=role.account_id, role=role.name)
        )
        return {
            "AccessKeyId": found.access_key_id,
            "SecretAccessKey": found.secret_access_key.reveal(),
            "SessionToken": found.session_token.reveal(),
            "Expiration": to_rfc3339(found.expires_at) or "",
        }
    if role != Role():
        raise Usage(
            f"{plain(account)} is not an account of AWS IAM Identity Center",
            remedy="Leave out --account-id and --role.",
        )
    leased = lease(session, account)
    keys = key_pair(leased.token)
    if keys is None:
        raise SettingWrong(
            f"The key of {leased.account} is not an AWS key pair",
            remedy="Connect an account with a key of the form ACCESSKEYID:SECRETKEY, or JSON with "
            "AccessKeyId and SecretAccessKey.",
        )
    expires = to_rfc3339(leased.expires_at)
    if expires is not None:
        keys.setdefault("Expiration", expires)
    return keys


def portal_account(session: Session, account: str) -> Record | None:
    """The account, if it is one of AWS IAM Identity Center. An account of another computer, which only the
    agent knows, is not.
    """
    try:
        record = session.engine.accounts.resolve(account)
    except NotFound:
        return None
    return record if session.engine.aws_roles.serves(record) else None


def leasing(session: Session, account: str) -> Callable[[Secret | None], Secret]:
    """Gets the account's token from the agent, or in this process."""
    return lambda rejected: lease(session, account, rejected=rejected).token
