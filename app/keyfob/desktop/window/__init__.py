"""The main window: list of accounts, account page, banners, tray, and
the confirmations before an account changes.

A presenter talks to the engine; widgets only show models and emit what the user asked for.
"""
