"""The gateway's server: it passes callers' requests on to an account's API, with the account's
credentials.
"""
