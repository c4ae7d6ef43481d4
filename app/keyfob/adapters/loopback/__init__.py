"""The callback listener: takes a loopback port, serves the redirect, and shows the page in the browser.

`protocol/oauth/callback.py` decides whether a callback is the right one.
"""
