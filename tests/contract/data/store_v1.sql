-- A store as version 1 wrote it.
BEGIN TRANSACTION;
CREATE TABLE accounts (
        key TEXT PRIMARY KEY NOT NULL,
        provider TEXT NOT NULL,
        label TEXT NOT NULL COLLATE NOCASE,
        record TEXT NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "accounts" VALUES('k1','demo','alice','{"account":{"key":"k1","provider":"demo","label":"alice","method":"oauth","subject":"subject-of-k1","pin":{"server":{"issuer":"https://op.test","endpoints":{"authorization_endpoint":null,"token_endpoint":"https://op.test/token","refresh_endpoint":null,"userinfo_endpoint":null,"jwks_uri":null,"revocation_endpoint":null,"introspection_endpoint":null,"device_authorization_endpoint":null,"pushed_authorization_request_endpoint":null,"registration_endpoint":null},"code_challenge_methods_supported":null,"authorization_response_iss_parameter_supported":false,"token_endpoint_auth_methods_supported":null,"id_token_signing_alg_values_supported":null,"dpop_signing_alg_values_supported":null,"require_pushed_authorization_requests":false,"scopes_supported":null,"grant_types_supported":null},"client_id":"keyfob","client_auth":"none","redirect_uri":null,"resource":null,"registration_uri":null,"inputs":{},"api_base":null,"api_hosts":[],"dpop":false},"name":null,"email":null,"avatar_url":null,"plan":null,"asked_scopes":[],"created_at":"2026-11-20T18:00:00+00:00","share":null},"status":{"is":"connected"},"epoch":0,"generation":0,"scopes":[],"obtained_at":null,"expires_at":"2026-11-20T19:00:00+00:00","renews_at":null,"renewable":true,"connected_at":null,"last_renewed_at":null,"grant_ends_at":null,"last_error":null,"failures":0,"retry_at":null,"retry_asked":false,"key_tail":null,"cleanup":false}');
CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        account_id TEXT NOT NULL,
        account_key TEXT NOT NULL,
        kind TEXT NOT NULL,
        message TEXT NOT NULL,
        code TEXT
    );
INSERT INTO "events" VALUES(1,'2026-11-20T18:00:01+00:00','demo/k1','k1','renewed','Renewed 1',NULL);
CREATE TABLE intents (key TEXT PRIMARY KEY NOT NULL, intent TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "intents" VALUES('k1','{"key":"k1","generation":3,"refresh_hash":"abababababababababababababababababababababababababababababababab","at":"2026-11-20T18:00:00+00:00","replays":0}');
CREATE TABLE named (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "named" VALUES('attempt/1','one');
CREATE TABLE revocations (entry TEXT PRIMARY KEY NOT NULL, revocation TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "revocations" VALUES('revoke/1','{"entry":"revoke/1","account_id":"demo/alice","pin":{"server":{"issuer":"https://op.test","endpoints":{"authorization_endpoint":null,"token_endpoint":"https://op.test/token","refresh_endpoint":null,"userinfo_endpoint":null,"jwks_uri":null,"revocation_endpoint":null,"introspection_endpoint":null,"device_authorization_endpoint":null,"pushed_authorization_request_endpoint":null,"registration_endpoint":null},"code_challenge_methods_supported":null,"authorization_response_iss_parameter_supported":false,"token_endpoint_auth_methods_supported":null,"id_token_signing_alg_values_supported":null,"dpop_signing_alg_values_supported":null,"require_pushed_authorization_requests":false,"scopes_supported":null,"grant_types_supported":null},"client_id":"keyfob","client_auth":"none","redirect_uri":null,"resource":null,"registration_uri":null,"inputs":{},"api_base":null,"api_hosts":[],"dpop":false},"provider":"demo","at":"2026-11-20T18:00:00+00:00","tries":0,"retry_at":null,"account_key":"k1"}');
CREATE UNIQUE INDEX accounts_id ON accounts (provider, label);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',1);
COMMIT;
PRAGMA user_version = 1;
