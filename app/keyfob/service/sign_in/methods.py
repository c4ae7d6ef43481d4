"""Which class signs in by which method. To add a method: a file next to this one, a field and a case here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from keyfob.service.sign_in.api_key import ApiKeySignIn
from keyfob.service.sign_in.app_password import AppPasswordSignIn
from keyfob.service.sign_in.atproto import AtprotoSignIn
from keyfob.service.sign_in.browser import BrowserSignIn
from keyfob.service.sign_in.client_credentials import ClientCredentialsSignIn
from keyfob.service.sign_in.device import DeviceSignIn
from keyfob.service.sign_in.password import PasswordSignIn
from keyfob.service.sign_in.prepared import PreparedSignIn, SignInOutcome


@dataclass(frozen=True, slots=True)
class Methods:
    """Blocking and thread-safe."""

    browser: BrowserSignIn
    device: DeviceSignIn
    atproto: AtprotoSignIn
    api_key: ApiKeySignIn
    app_password: AppPasswordSignIn
    password: PasswordSignIn
    client_credentials: ClientCredentialsSignIn

    def sign_in(self, ready: PreparedSignIn) -> SignInOutcome:
        """Runs the attempt's method to its end. Nothing is saved yet. Raises a KeyfobError."""
        match ready.method:
            case "oauth":
                return self.browser.sign_in(ready)
            case "device":
                return self.device.sign_in(ready)
            case "atproto":
                return self.atproto.sign_in(ready)
            case "api_key":
                return self.api_key.sign_in(ready)
            case "app_password":
                return self.app_password.sign_in(ready)
            case "password":
                return self.password.sign_in(ready)
            case "client_credentials":
                return self.client_credentials.sign_in(ready)
        assert_never(ready.method)
