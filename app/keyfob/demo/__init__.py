"""The demo provider: a real authorization server on loopback, for trying Keyfob without an account.

Everything in it is real (PKCE, OpenID Connect, rotation, revocation) except the users, who need no password.
Its signing keys are its own, as any server's are. They are not secrets of the user. Needs the extra `demo`
(Authlib and Flask), which is imported only for the demo.
"""
