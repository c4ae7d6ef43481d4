"""The callback listener: takes a loopback port, serves the redirect, and shows the page in the browser.

Whether a callback is the right one is decided in `protocol/oauth/callback.py`.
"""
