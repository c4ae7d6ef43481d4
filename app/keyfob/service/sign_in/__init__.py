"""Signing in: an attempt, one file for each method, the client to use, and the commit of the new account.

A method knows its attempt; an attempt does not know the methods. Renewal belongs in `service/accounts`.
"""
