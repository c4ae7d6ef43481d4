"""Who may call a server (`auth`), what passes (`grants`), and the proxy that puts credentials on requests."""
