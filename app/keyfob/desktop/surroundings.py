"""What happens around the app: the machine wakes, the network comes and goes, the keychain is unlocked.

Signals only, no polling. Where a desktop tells nothing of this, the renewer's own look every 37 s is enough.
"""

from __future__ import annotations

import sys

from PySide6.QtCore import SLOT, QObject, Signal, Slot
from PySide6.QtDBus import QDBusConnection
from PySide6.QtNetwork import QNetworkInformation

_LOGIN = "org.freedesktop.login1"
_SECRETS = "org.freedesktop.secrets"


class Surroundings(QObject):
    woke = Signal()
    online = Signal(bool)
    keychain_changed = Signal()

    def begin(self) -> None:
        """Subscribe. Called after the first paint: it loads plugins."""
        if sys.platform.startswith("linux"):
            self._subscribe()
        if QNetworkInformation.loadBackendByFeatures(QNetworkInformation.Feature.Reachability):
            network = QNetworkInformation.instance()
            network.reachabilityChanged.connect(self._reached)
            self._reached(network.reachability())

    def _subscribe(self) -> None:
        system, session = QDBusConnection.systemBus(), QDBusConnection.sessionBus()
        if system.isConnected():
            system.connect(
                _LOGIN, "/org/freedesktop/login1", f"{_LOGIN}.Manager", "PrepareForSleep", self, SLOT("_sleeps(bool)").encode()
            )  # fmt: skip
        if session.isConnected():
            session.connect(
                _SECRETS, "/org/freedesktop/secrets", "org.freedesktop.Secret.Service", "CollectionChanged",
                self, SLOT("_collection()").encode(),
            )  # fmt: skip

    @Slot(bool)
    def _sleeps(self, going: bool) -> None:
        if not going:
            self.woke.emit()

    @Slot()
    def _collection(self) -> None:
        self.keychain_changed.emit()

    def _reached(self, reachability: QNetworkInformation.Reachability) -> None:
        # Only a plain "disconnected" counts: captive and local networks may still reach a provider.
        self.online.emit(reachability != QNetworkInformation.Reachability.Disconnected)
