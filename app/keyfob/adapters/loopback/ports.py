"""Takes a loopback port for the redirect address, exclusively, before any browser opens (RFC 8252 §7.3,
§8.3).

Returns a listening socket on loopback that no other program shares, or raises an error that names the program
that uses the port. Never listens on another interface, and never moves to a port that the provider has not
registered.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Sequence

from keyfob.adapters.loopback.port_holder import who_holds
from keyfob.core.errors import SettingWrong
from keyfob.core.provider import RedirectProfile

_BACKLOG = 128  # a browser's preconnects must not crowd out its real request
_PAIR_TRIES = 16  # free ports tried until both families have the same one
_NO_FAMILY = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}
_IPV4 = (socket.AF_INET, "127.0.0.1")
_IPV6 = (socket.AF_INET6, "::1")

# A preset's ports are registered with the provider: no setting changes them.


def take_port(profile: RedirectProfile, setting_port: int) -> list[socket.socket]:
    """Sockets that listen on the first free port the profile allows; the caller closes them.

    Raises SettingWrong `port_taken` if none is free, `preset_faulty` if the profile names none.
    """
    host = profile.host.strip("[]")
    if host not in ("127.0.0.1", "::1", "localhost"):
        raise SettingWrong("the redirect's host is not a loopback address", code="preset_faulty")
    ports = candidates(profile, setting_port)
    refusals: list[tuple[int, OSError]] = []
    for port in ports:
        try:
            return _listen_pair(port) if host == "localhost" else [_listen(*_address(host), port)]
        except OSError as error:
            refusals.append((port, error))
    raise SettingWrong(
        _explain(refusals),
        code="port_taken" if profile.port == "setting" else "fixed_port_taken",
        detail="; ".join(str(e) for _, e in refusals),
    )


def candidates(profile: RedirectProfile, setting_port: int) -> Sequence[int]:
    """The ports that the profile allows, in the order they are tried; 0 for any. Raises SettingWrong
    `preset_faulty`.
    """
    match profile.port:
        case "setting":
            return (setting_port,)
        case "any":
            return (0,)
        case "fixed" if profile.ports:
            return profile.ports[:1]
        case "list" if profile.ports:
            return profile.ports
        case _:
            raise SettingWrong("the preset has no port for the redirect", code="preset_faulty")


def _address(host: str) -> tuple[socket.AddressFamily, str]:
    return _IPV6 if host == "::1" else _IPV4


def _listen_pair(port: int) -> list[socket.socket]:
    """Both families of `localhost`, or none: else another program could answer on the other one."""
    for tries_left in reversed(range(_PAIR_TRIES if port == 0 else 1)):
        first = _listen(*_IPV4, port)
        try:
            second = _listen(*_IPV6, first.getsockname()[1])
        except OSError as error:
            if error.errno in _NO_FAMILY:
                return [first]
            first.close()
            if not tries_left:
                raise
        else:
            return [first, second]
    raise AssertionError("the last try returns or raises")


def _listen(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            # There SO_REUSEADDR would let a second program take the port while we listen.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # Here it only lets us have a port whose last connections are still in TIME_WAIT.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _explain(refusals: Sequence[tuple[int, OSError]]) -> str:
    return "; ".join(_explain_one(port, error) for port, error in refusals)


def _explain_one(port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = who_holds(port)
        return f"Port {port} is in use by {holder}" if holder else f"Port {port} is in use by another program"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"The system does not allow Keyfob to use port {port}"
    return f"Port {port} cannot be used ({os.strerror(error.errno) if error.errno else 'unknown reason'})"


__all__ = ["candidates", "take_port"]
