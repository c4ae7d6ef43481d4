"""What an administrator can do: by `keyfob keys`, `users`, `grants` and `audit` on the server, and over HTTP
below `/v1/admin/`. Both call the same operations.
"""
