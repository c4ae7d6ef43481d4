"""The protocols as generators: each flow yields what it needs (a
request, a browser, a wait) and receives the result.

The folders follow the specifications. Nothing here opens a socket, reads
a clock or logs. `service/runner.py` performs the effects.
"""
