"""What the command line is given: an engine, and the few doors out of it. Bootstrap builds them; nothing here does.

Protocols only, so that importing this costs nothing and tests can hand in an engine of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from keyfob.adapters.network.transport import HttpTransport
    from keyfob.adapters.store.settings_file import SettingsFile
    from keyfob.adapters.system.home import Home
    from keyfob.ports import AccountStore, Vault
    from keyfob.providers.catalogue import Catalogue
    from keyfob.service.accounts.accounts import Accounts
    from keyfob.service.accounts.keeper import Keeper
    from keyfob.service.accounts.recovery import Recovered
    from keyfob.service.accounts.renewer import Renewer
    from keyfob.service.accounts.signer import Signer
    from keyfob.service.consents import Consents
    from keyfob.service.doctor import Doctor
    from keyfob.service.events import EventBus
    from keyfob.service.sign_in.clients import Clients
    from keyfob.service.sign_in.sign_in import SignIn
    from keyfob.tools.imports import Imports


class Engine(Protocol):
    """The services, as bootstrap's engine has them. All blocking and thread-safe."""

    @property
    def home(self) -> Home: ...
    @property
    def providers(self) -> Catalogue: ...
    @property
    def settings(self) -> SettingsFile: ...
    @property
    def accounts(self) -> Accounts: ...
    @property
    def keeper(self) -> Keeper: ...
    @property
    def sign_in(self) -> SignIn: ...
    @property
    def renewer(self) -> Renewer: ...
    @property
    def doctor(self) -> Doctor: ...
    @property
    def events(self) -> EventBus: ...
    @property
    def store(self) -> AccountStore: ...
    @property
    def vault(self) -> Vault: ...
    @property
    def imports(self) -> Imports: ...
    @property
    def clients(self) -> Clients: ...
    @property
    def transport(self) -> HttpTransport: ...
    @property
    def signer(self) -> Signer: ...
    @property
    def consents(self) -> Consents: ...
    def close(self) -> None: ...


class EngineFactory(Protocol):
    def __call__(self, home: Path | None = None, *, in_memory: bool = False) -> Engine:
        """The engine of the person's own home, or of the folder `home`. `in_memory`: a vault that forgets at the
        end, for where there is no keychain and nothing is at stake."""


class Agent(Protocol):
    def __call__(self, say: Callable[[str], None], shared: Path | None = None) -> int:
        """The agent, until it is told to end; its exit code. `shared`: a second socket, for other machines. `say`
        takes the lines that tell how it stands. Raises SettingWrong."""


class Demo(Protocol):
    """A demo provider that serves (`demo/server.py`)."""

    @property
    def issuer(self) -> str: ...
    @property
    def counters(self) -> Mapping[str, int]: ...
    def revoke_everything(self, person: str) -> None: ...
    def stop(self) -> None: ...


class DemoFactory(Protocol):
    def __call__(self, state_dir: Path, *, port: int, access_lifetime: int) -> Demo:
        """A demo provider, serving already; port 0 takes any. Raises SettingWrong."""


@dataclass(frozen=True, slots=True)
class Doors:
    """Everything outside that a verb may need. `window` opens the desktop app with these arguments and returns
    its exit code; `visit` signs in as Alice at a demo provider's authorization address; `recover` lists lost accounts
    again, and returns where a damaged store is kept."""

    engine: EngineFactory
    demo: DemoFactory
    visit: Callable[[str], object]
    window: Callable[[Sequence[str]], int]
    agent: Agent
    recover: Callable[[], tuple[Recovered, Path | None]]
