"""OpenID Connect: ID tokens and their keys, and who has signed in.

These checks run only on tokens that are already saved.
"""
