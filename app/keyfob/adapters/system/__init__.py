"""The operating system: clock, randomness, folders, processes, browser, log file, start at login, and the checks of `keyfob doctor`.

Keychains, stores and sockets have folders of their own.
"""
