"""The account store's tables. The fast path of `keyfob token` reads this too, so it imports nothing."""

# One step for each schema version, applied in order. A step that has been released is never edited.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE accounts (
        key TEXT PRIMARY KEY NOT NULL,
        provider TEXT NOT NULL,
        label TEXT NOT NULL COLLATE NOCASE,
        record TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX accounts_id ON accounts (provider, label);
    CREATE TABLE intents (key TEXT PRIMARY KEY NOT NULL, intent TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE revocations (entry TEXT PRIMARY KEY NOT NULL, revocation TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        account_id TEXT NOT NULL,
        account_key TEXT NOT NULL,
        kind TEXT NOT NULL,
        message TEXT NOT NULL,
        code TEXT
    );
    CREATE TABLE named (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
    """,
    # The history of one account is asked for by its page each time it is shown.
    "CREATE INDEX events_account ON events (account_key, seq);",
    # How the account's token may be handed out (token_rule.py). NULL:
    # the engine has not said, or it may not be.
    "ALTER TABLE accounts ADD COLUMN token_rule TEXT;",
)
