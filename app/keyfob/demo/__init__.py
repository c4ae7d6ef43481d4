"""The demo provider: a real authorization server on loopback, for trying Keyfob with no account anywhere.

Everything in it is real (PKCE, OpenID Connect, rotation, revocation) but the users: they need no password.
Its signing keys are its own, as any server's are; they are not secrets of the user and open nothing else.
Needs the extra `demo` (Authlib and Flask); nothing here is imported until the demo is asked for.
"""
