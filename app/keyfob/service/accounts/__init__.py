"""Accounts that exist: their grants, renewal, state, revocation, and the credentials on a request.

Only the keeper renews a grant, and it saves what it gets before it judges it. Nothing here signs anybody in.
"""
