"""What `keyfob exec` keeps beside a command while it runs: a mask over its output, files with fresh tokens,
an endpoint for AWS tools. All of it is ready before the command starts, and gone when the command ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from keyfob.cli import child
from keyfob.cli.aws_endpoint import OTHERS, AwsEndpoint
from keyfob.cli.aws_keys import Role, keys_of
from keyfob.cli.masking import Hidden
from keyfob.cli.session import Session
from keyfob.cli.token_files import TokenFiles, WantedFile
from keyfob.cli.token_source import Lease, warn_of_bound
from keyfob.core.errors import Usage
from keyfob.core.key_parts import parts_of
from keyfob.core.secret import Secret
from keyfob.tools.aws import default_profile

PART_LEAST = 8  # characters


class Beside:
    """For one run. `given` are the tokens in `environment`, which this changes. Blocks; for the main thread.
    `get_files` and `get_aws` raise a KeyfobError, and nothing is written then.
    """

    def __init__(
        self, session: Session, given: Sequence[str], environment: dict[str, str], *, mask: bool
    ) -> None:
        self._session = session
        self._environment = environment
        self._hidden = Hidden()
        self._mask = mask
        self._hide(given)
        self._files: list[tuple[WantedFile, Lease]] = []
        self._aws: tuple[str, Role] | None = None

    def get_files(self, wanted: Iterable[WantedFile]) -> None:
        """Get a token for each file."""
        names = set[str]()
        for each in wanted:
            found = each.get(self._session)
            name = each.variable_for(found)
            if name in names:
                raise Usage(
                    f"Two files use the variable {name}",
                    remedy=f"Choose another variable for one of them: {found.account}=NAME",
                )
            names.add(name)
            self._files.append((each, found))
            self._hide([found.token.reveal()])
            warn_of_bound(self._session, found)

    def get_aws(self, account: str, role: Role) -> None:
        """Get the first keys for AWS tools."""
        self._hide_keys(keys_of(self._session, account, role))
        self._aws = (account, role)
        other = default_profile(self._environment)
        if other is not None:
            self._session.note(
                f"Warning: {other} has a default profile with keys, and AWS tools use that instead of "
                f"{account}. To use {account}, remove the profile or give it another name."
            )

    def run(self, program: str, command: Sequence[str]) -> int:
        """Run the command; its exit code. Raises OSError if it cannot be started, SettingWrong if a file
        cannot be written.
        """
        session = self._session
        with ExitStack() as lasting:
            relay = lasting.enter_context(child.relayed_signals())
            if self._files:
                files = lasting.enter_context(TokenFiles(session, session.engine.home.run, self._hide_one))
                for wanted, found in self._files:
                    self._environment[wanted.variable_for(found)] = str(files.add(wanted, found))
                files.start()
            if self._aws is not None:
                endpoint = AwsEndpoint(self._fresh_keys, session.now)
                for name in OTHERS:
                    self._environment.pop(name, None)
                self._environment |= lasting.enter_context(endpoint).variables
            if not self._files and self._aws is None:
                session.close()
            return child.run(program, command, self._environment, relay, self._hidden if self._mask else None)

    def _fresh_keys(self) -> dict[str, str]:
        assert self._aws is not None
        keys = keys_of(self._session, *self._aws)
        self._hide_keys(keys)
        return keys

    def _hide_keys(self, keys: dict[str, str]) -> None:
        self._hidden.add(keys["SecretAccessKey"], keys.get("SessionToken", ""))

    def _hide(self, tokens: Iterable[str]) -> None:
        self._hidden.add(*(word for token in tokens for word in hidden_words(token)))

    def _hide_one(self, token: Secret) -> None:
        self._hide([token.reveal()])


def hidden_words(token: str) -> list[str]:
    """What `--mask` hides of a token: all of it, and each part of a key of two parts, which programs use
    one by one. Parts as short as words are left: `Basic`, or a syllable of a passphrase.
    """
    return [token, *(part.reveal() for part in parts_of(Secret(token)) if len(part) >= PART_LEAST)]


__all__ = ["Beside", "Role", "WantedFile", "hidden_words"]
