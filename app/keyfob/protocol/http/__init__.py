"""HTTP itself: what is read from requests and responses, and what an address may be. Sans-IO."""
