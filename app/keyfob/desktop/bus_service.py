"""The app on the session bus: org.freedesktop.Application of the Desktop Entry specification.

Desktops that start the app through D-Bus call it to raise the window, to do one of the menu entry's actions,
and to open a link. One QObject on the GUI thread. A link may contain a key: it is never logged.
"""

from __future__ import annotations

import logging
from typing import Any, cast

from PySide6.QtCore import ClassInfo, QObject, Signal, Slot
from PySide6.QtDBus import QDBusAbstractAdaptor, QDBusConnection

from keyfob.desktop.links import is_link
from keyfob.desktop.shared.activation import Activation, of_desktop
from keyfob.process.app_id import APP_ID, OBJECT_PATH

log = logging.getLogger(__name__)
_MOST_LINKS = 20  # of one call
# PySide's own types do not know that it takes a dictionary and decorates a class.
_INTERFACE = cast(Any, ClassInfo)({"D-Bus Interface": "org.freedesktop.Application"})


class BusService(QObject):
    """Answers the desktop under the app's name, as long as it has the name."""

    asked = Signal(Activation)
    link_arrived = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._bus = QDBusConnection.sessionBus()
        _Application(self)

    def begin(self) -> None:
        """Take the name, if there is a bus and no other process has it. Calls that the bus kept while it
        started this process arrive from here on.
        """
        if not self._bus.isConnected():
            return
        exported = QDBusConnection.RegisterOption.ExportAdaptors
        self._bus.registerObject(OBJECT_PATH, self, exported)
        if not self._bus.registerService(APP_ID):
            log.info("another process has the name %s", APP_ID)

    def close(self) -> None:
        """Give the name back: the next call starts another process."""
        if self._bus.isConnected():
            self._bus.unregisterService(APP_ID)
            self._bus.unregisterObject(OBJECT_PATH)

    def open_links(self, links: list[str]) -> None:
        """Pass on those that the app may know."""
        for link in links[:_MOST_LINKS]:
            if is_link(link):
                self.link_arrived.emit(link)
            else:
                log.info("a link that is not well formed was not opened")


@_INTERFACE
class _Application(QDBusAbstractAdaptor):
    def __init__(self, service: BusService) -> None:
        super().__init__(service)
        self._service = service

    @Slot("QVariantMap")
    def Activate(self, platform_data: dict[str, Any]) -> None:
        self._service.asked.emit(of_desktop(platform_data))

    @Slot("QStringList", "QVariantMap")
    def Open(self, uris: list[str], platform_data: dict[str, Any]) -> None:
        self._service.asked.emit(of_desktop(platform_data))
        self._service.open_links(uris)

    @Slot(str, "QVariantList", "QVariantMap")
    def ActivateAction(self, name: str, _parameters: list[Any], platform_data: dict[str, Any]) -> None:
        self._service.asked.emit(of_desktop(platform_data, name))
