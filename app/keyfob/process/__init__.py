"""What a process of Keyfob needs before it has an engine, or without one: its safe start, its folders, its
log, the path to the agent. Every entry point starts here. No port is implemented here, and only `core` is
imported, because the fast path of `keyfob token` uses this package.
"""
