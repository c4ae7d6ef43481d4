"""What the page Check everything calls each check, and what it means for the user if one fails."""

from __future__ import annotations

from collections.abc import Mapping

from keyfob.core.error_codes import ErrorCode
from keyfob.core.words import FindingName

TITLES: Mapping[FindingName, str] = {
    "keychain": "Keychain",
    "callback_port": "Callback port",
    "browser": "Browser",
    "clock": "Clock",
    "ca": "Certificates",
    "tray": "Tray",
    "proxy": "Proxy",
    "network": "Network",
    "provider": "Provider",
    "settings": "Settings",
    "store": "Accounts",
    "presets": "Providers",
    "agent": "Agent",
    "tools": "Tools",
    "consent": "Connected programs",
    "gateway": "Gateway",
    "log": "Log",
}
GROUPS: tuple[tuple[str, tuple[FindingName, ...]], ...] = (
    ("This computer", ("keychain", "callback_port", "browser", "clock", "ca", "tray")),
    ("Network and providers", ("proxy", "network", "provider")),
    (
        "Keyfob and your tools",
        ("settings", "store", "presets", "agent", "tools", "consent", "gateway", "log"),
    ),
)
# What a failure means.
EFFECTS: Mapping[FindingName, str] = {
    "keychain": "Keyfob cannot renew tokens or give them to your tools until this works.",
    "callback_port": "You cannot finish a sign-in with your browser until the port is free.",
    "browser": "Keyfob cannot open sign-in pages.",
    "clock": "Providers may refuse sign-ins and tokens.",
    "ca": "Keyfob cannot connect to any provider.",
    "tray": "Keyfob cannot stay in the tray.",
    "proxy": "Keyfob cannot connect to any provider.",
    "network": "Keyfob cannot sign in or renew tokens until you are online.",
    "provider": "Keyfob cannot renew tokens of this provider until it answers.",
    "settings": "Keyfob keeps the settings that it read last.",
    "store": "Keyfob cannot list all of your accounts.",
    "presets": "A provider that you added is not in the list of providers.",
    "agent": "Your tools cannot ask Keyfob for tokens.",
    "tools": "Keyfob cannot check your tools.",
    "consent": "Programs that you have not allowed get no tokens.",
    "gateway": "Keyfob cannot check the keys of the gateway's callers.",
    "log": "Keyfob cannot write down what happens.",
}
SIGNED_OUT = "Your tools do not get a token for this account until you sign in."
CHANGED = "The tool may not get tokens from Keyfob until you set it up again."
LACKING = "The provider may refuse the tool until you ask for this access."
TIMED_OUT: frozenset[ErrorCode] = frozenset({"network_timeout", "keychain_timeout"})
# A problem that passes: the button tries again.
PASSING: frozenset[ErrorCode] = frozenset(
    {"network_unreachable", "network_timeout", "captive_portal", "provider_unavailable", "keychain_timeout"}
)
