"""Certificate authorities and proxies: the system's, for every request.

Used by `transport`. No environment variable turns verification off. `SSL_CERT_FILE` and `SSL_CERT_DIR` set
other authorities, for company networks. `.netrc` is never read.
"""

from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from keyfob.core.errors import SettingWrong
from keyfob.core.hosts import is_loopback

# Where systems keep their authorities, for a Python that was built elsewhere and looks in another place.
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def tls_context() -> ssl.SSLContext:
    """TLS 1.2 or newer, certificate and host name checked. Raises SettingWrong `tls_untrusted` if
    SSL_CERT_FILE names no readable bundle.
    """
    # Not create_default_context: that one writes the session keys to a file where SSLKEYLOGFILE is set.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    named = os.environ.get("SSL_CERT_FILE")
    if named:
        try:
            context.load_verify_locations(cafile=named)
        except (OSError, ssl.SSLError) as error:
            raise SettingWrong(
                "The file in SSL_CERT_FILE has no certificates or cannot be read",
                code="ca_file_faulty",
            ) from error
    elif sys.platform != "win32" and not os.environ.get("SSL_CERT_DIR"):
        paths = ssl.get_default_verify_paths()
        if not Path(paths.openssl_cafile).exists() and not Path(paths.openssl_capath).is_dir():
            bundle = next((each for each in BUNDLES if Path(each).exists()), None)
            if bundle is not None:
                context.load_verify_locations(cafile=bundle)
    return context


def proxy_for(scheme: str, host: str, port: int) -> tuple[str, tuple[str, str] | None] | None:
    """The proxy's address without its credentials, and those, as the environment or the system's settings say
    at this moment; None to go straight. Raises SettingWrong for a proxy of a kind that Keyfob does not speak.
    """
    if is_loopback(host):
        return None
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    named = proxies.get(scheme) or proxies.get("all")
    if not named or proxy_bypass(f"{host}:{port}"):
        return None
    parts = urlsplit(named if "://" in named else f"http://{named}")
    try:
        at = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        at = 0
    if parts.scheme not in ("http", "https") or not parts.hostname or not at:
        raise SettingWrong(
            "Keyfob does not support the proxy in your proxy settings",
            code="proxy_unsupported",
        )
    shown = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    credentials = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return f"{parts.scheme}://{shown}:{at}", credentials
