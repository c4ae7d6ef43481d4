"""The fixed words of the domain, as types: the values that an account, a preset and a sign-in may have.

Presets, stored rows and the JSON interface use these words, so a word never changes. Text from outside
becomes one of them only after a check: presets in `providers.schema_check`, rows in `adapters.store.codec`,
and requests in the service that receives them. A `match` over one of them ends in `assert_never`.
"""

from __future__ import annotations

from typing import Literal, TypeVar, get_args

# The state of an account: as stored, and as shown, which includes a renewal in progress.
StatusWord = Literal["connected", "stale", "needs_sign_in", "disconnected"]
ShownStatus = Literal["connected", "renewing", "stale", "needs_sign_in", "disconnected"]
SHOWN_STATUSES: tuple[ShownStatus, ...] = get_args(ShownStatus)
# How far a sign-in has come: preparing, ready (listening), browser (opened), waiting (for the user), code (a
# device code is shown), checking, saving, and one of three ends.
Stage = Literal[
    "preparing", "ready", "browser", "waiting", "code", "checking", "saving", "done", "failed", "cancelled",
]  # fmt: skip
ENDED: frozenset[Stage] = frozenset({"done", "failed", "cancelled"})
# The lines of history that this version writes.
LoggedKind = Literal[
    "connected", "reconnected", "imported", "renewed", "renewal_failed", "saving_failed", "needs_sign_in",
    "key_expiring", "disconnected", "revoked", "revocation_pending", "revocation_failed", "renamed",
    "removed",
]  # fmt: skip
# What passes, and is reported to subscribers alone.
HintKind = Literal["renewing", "idle", "tested", "unsaved", "renewal_failed"]
# How the keychain stands, which is not an account's matter.
KeychainKind = Literal["keychain_trouble", "keychain_well"]
# A history may hold what another version wrote: such a line is `other`, and its message says what happened.
EventKind = LoggedKind | HintKind | KeychainKind | Literal["other"]
LOGGED_KINDS: tuple[LoggedKind, ...] = get_args(LoggedKind)

# The lock of the one process that renews and serves the socket.
KEEPER_ROLE = "keeper"

# --- settings -----------------------------------------------------------------------------------------------

ThemeChoice = Literal["system", "light", "dark"]
VaultChoice = Literal["keychain", "sealed", "pass"]

# --- presets ------------------------------------------------------------------------------------------------

Category = Literal[
    "games", "ai", "social", "code", "identity", "storage", "work", "media", "research", "other", "demo",
    "custom",
]  # fmt: skip
Tested = Literal["live", "software", "documentation"]
Origin = Literal["keyfob", "user"]  # whose file a preset is
ClientFrom = Literal["keyfob", "user", "dynamic", "none"]  # whose client id a provider is used with
InputKind = Literal["text", "host", "url", "handle"]
# How the client proves itself at the token endpoint (RFC 7591 §2);
# `basic_empty`: Basic with an empty password.
ClientAuth = Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt", "basic_empty"]
CLIENT_AUTHS: tuple[ClientAuth, ...] = get_args(ClientAuth)
SecretRule = Literal["never", "optional", "required"]
Algorithm = Literal[
    "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA",
]  # fmt: skip
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
MadeAlgorithm = Literal["ES256", "RS256", "EdDSA"]  # of the keys that Keyfob makes
MADE_ALGORITHMS: tuple[MadeAlgorithm, ...] = get_args(MadeAlgorithm)
RedirectHost = Literal["127.0.0.1", "localhost", "::1"]
RedirectPort = Literal["setting", "any", "fixed", "list"]
PasteForm = Literal["url", "code", "code#state"]  # what the user may paste instead of the browser's visit
Offer = Literal["never", "offered", "always"]  # when DPoP and pushed requests are used
Pkce = Literal["S256", "none"]
ScopeSeparator = Literal[" ", ",", "+"]
RequestFormat = Literal["form", "json"]
ExpiresKind = Literal["seconds", "epoch", "rfc3339"]
# Where a token goes on a request; `basic_password`: Basic with an empty user name.
Placement = Literal["bearer", "header", "query", "basic", "basic_password"]
SecondPlacement = Literal["header", "query"]  # where the second part of a key goes
Verb = Literal["GET", "POST"]
# How a backend of the Responses format departs from OpenAI's API. codex: that of ChatGPT, which the Codex
# command line uses: it always streams, stores nothing, and refuses some fields.
Channel = Literal["codex"]
# What a server says while the user has not entered the code, or why it ends (RFC 8628 §3.5).
DeviceError = Literal["authorization_pending", "slow_down", "access_denied", "expired_token"]
KeyWord = Literal["API key", "token"]  # what a provider calls a key that the user creates there
# Where who-am-I comes from.
IdentityFrom = Literal["id_token", "userinfo", "request", "access_jwt", "token_answer", "none"]
RevocationStyle = Literal["rfc7009", "json", "form_get", "bearer_post", "delete", "nextcloud", "none"]
# What of the client a revocation shows, if it is not what the token endpoint sees.
RevocationAuth = Literal["client", "client_secret_basic", "client_secret_post", "none"]
TokenHint = Literal["refresh_token", "access_token"]  # RFC 7009 §2.1
RevokedToken = Literal["refresh_token", "access_token", "both"]

# --- what became of something -------------------------------------------------------------------------------

# What one request came to. accepted: the provider has taken it and has not done it yet; doubtful: the answer
# fits a token that has ended and one that lives.
RevocationAnswer = Literal["yes", "unsupported", "accepted", "doubtful"]
# What one sign-in's revocation came to. unconfirmed: nothing can show whether it is revoked.
RevocationOutcome = Literal["yes", "unsupported", "pending", "refused", "unconfirmed"]
Revoked = Literal["yes", "pending", "unsupported"]  # what a disconnect came to, over all its sign-ins
UnrevokedReason = Literal["local", "not_offered", "refused", "unconfirmed", "nothing_left"]
# Of `keyfob doctor`.
# `note`: nothing to do; `warn`: something waits for the user, and Keyfob works; `skip`: not checked.
FindingLevel = Literal["ok", "note", "warn", "fail", "skip"]
FindingName = Literal[
    "keychain", "settings", "store", "presets", "callback_port", "browser", "clock", "proxy", "ca", "agent",
    "tray", "network", "provider", "tools", "consent", "gateway", "log",
]  # fmt: skip
ClientSource = Literal["environment", "yours", "preset", "publisher"]

# --- requests -----------------------------------------------------------------------------------------------

# What a request to a provider is for: of these, only `api` is a user's own.
Purpose = Literal[
    "discovery", "register", "par", "token", "device", "refresh", "jwks", "whoami", "revoke", "avatar", "api",
    "download", "update",
]  # fmt: skip

W = TypeVar("W", bound=str)


def known(words: tuple[W, ...], text: object) -> W | None:
    """`text` as the one of `words` that it is, or None."""
    return next((word for word in words if word == text), None)
