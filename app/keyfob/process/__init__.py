"""What a process of Keyfob needs before it has an engine, or without one: its safe start, its folders, its log, the
way to the agent. Every entry starts here. No port is implemented here, and nothing above `core` is imported: the fast
path of `keyfob token` comes through.
"""
