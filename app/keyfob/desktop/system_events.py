"""What happens around the app: the machine wakes, the network comes and
goes, the keychain is locked or unlocked.

Signals only, no polling. If a desktop reports nothing of this, the renewer's own tick every 37 s is enough.
"""

from __future__ import annotations

import sys
from typing import Any

from PySide6.QtCore import SLOT, QObject, Signal, Slot
from PySide6.QtDBus import QDBusConnection
from PySide6.QtNetwork import QNetworkInformation

_LOGIN = "org.freedesktop.login1"
_SECRETS = "org.freedesktop.secrets"


class SystemEvents(QObject):
    """What the system says: it woke up, it is online, the keychain changed."""

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
        # The slot goes over as text: PySide's own signature says bytes, and its call refuses them.
        if system.isConnected():
            manager = f"{_LOGIN}.Manager"
            sleeps: Any = SLOT("_sleeps(bool)")
            system.connect(_LOGIN, "/org/freedesktop/login1", manager, "PrepareForSleep", self, sleeps)
        if session.isConnected():
            service = "org.freedesktop.Secret.Service"
            changed: Any = SLOT("_collection()")
            for signal in ("CollectionChanged", "CollectionCreated"):  # locked, unlocked; set up
                session.connect(_SECRETS, "/org/freedesktop/secrets", service, signal, self, changed)

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
