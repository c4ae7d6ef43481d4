"""OpenID Connect: ID tokens and their keys, and who has signed in.

Only a token that is already saved is judged here.
"""
