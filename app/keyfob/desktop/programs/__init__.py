"""The page Programs: which programs act as the person through the gateway, and its switch."""
