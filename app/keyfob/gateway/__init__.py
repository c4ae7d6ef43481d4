"""Who may call a server, and what may pass. Today: `keyfob.gateway.auth`."""
