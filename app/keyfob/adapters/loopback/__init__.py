"""The callback listener: takes a loopback port, serves the redirect, shows the page in the browser, and gives
the port to the next attempt.

`protocol/oauth/callback.py` decides whether a callback is the right one.
"""
