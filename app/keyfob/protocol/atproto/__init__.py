"""The OAuth profile of atproto (Bluesky): identities, servers, and sign-in with PAR, PKCE and DPoP.

General OAuth rules belong in `protocol/oauth`.
"""
