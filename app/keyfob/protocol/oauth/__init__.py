"""OAuth 2.0 and its extensions, one file for each RFC or step:
authorization, token endpoint, PAR, DPoP, device grant.

OpenID Connect and atproto build on it. It must not import them.
"""
