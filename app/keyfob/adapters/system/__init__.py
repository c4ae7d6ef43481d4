"""The operating system: clock, randomness, keys, browser, other tools' files, start at login, and the checks
of `keyfob doctor`. What a process needs before it has an engine is in `keyfob.process`.
"""
