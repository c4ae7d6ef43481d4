"""Accounts that exist: their grants, renewal, state, revocation, and the credentials on a request.

Only the keeper renews a grant, and it saves the answer before it checks it. Nothing here signs anybody in.
"""
