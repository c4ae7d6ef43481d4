"""The client of the agent's socket: the fast path of `keyfob token`, and
`keyfob.token`, `keyfob.accounts`, `keyfob.Auth`.

The modules import only `os`, `time` and each other until they need more, so that a token costs little more
than the start of the interpreter. If no agent runs, the `keyfob` command does the work in a separate process,
under the same locks. Tokens are passed on and kept only in this process's memory.
"""
