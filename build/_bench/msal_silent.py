"""MSAL's silent acquisition, as a tool does it: a token cache in a file,
read at the start and written where it changed.

    msal_silent.py fill ISSUER CACHE LABEL SECONDS      makes the cache
    msal_silent.py get ISSUER CACHE LABEL               prints the token

MSAL speaks https alone, so its requests go to the benchmarks' provider through a client of these few lines,
which is faster to load than its own.
"""

import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import msal

verb, issuer, path, label = sys.argv[1:5]
HOST = "login.microsoftonline.com"
AUTHORITY = f"https://{HOST}/common"
SCOPES = ["User.Read"]


class Answer:
    def __init__(self, status: int, text: str) -> None:
        self.status_code, self.text, self.headers = status, text, {}

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise OSError(self.status_code)


class Client:
    def get(self, url, **_):
        told = {"authorization_endpoint": f"{AUTHORITY}/authorize", "token_endpoint": f"{AUTHORITY}/token"}
        return Answer(200, json.dumps({"issuer": AUTHORITY, **told}))

    def post(self, url, data=None, **_):
        body = urllib.parse.urlencode(data or {}).encode()
        try:
            with urllib.request.urlopen(f"{issuer}/token", body, timeout=30) as answer:
                return Answer(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode())

    def close(self) -> None:
        pass


cache = msal.SerializableTokenCache()
if verb == "fill":
    seconds = int(sys.argv[5])
    cache.add(
        {
            "client_id": "bench",
            "scope": SCOPES,
            "token_endpoint": f"{AUTHORITY}/token",
            "environment": HOST,
            "response": {
                "access_token": f"a.{label}.0.".ljust(180, "x"),
                "refresh_token": f"r.{label}.0",
                "expires_in": abs(seconds),
                "token_type": "Bearer",
                "client_info": "eyJ1aWQiOiJtZSIsInV0aWQiOiJoZXJlIn0",
            },
        },
        now=time.time() - (0 if seconds > 0 else 7200),
    )
    with open(path, "w", encoding="utf-8") as file:
        file.write(cache.serialize())
    raise SystemExit(0)
with open(path, encoding="utf-8") as file:
    cache.deserialize(file.read())
app = msal.PublicClientApplication(
    "bench", authority=AUTHORITY, token_cache=cache, instance_discovery=False, http_client=Client()
)
accounts = app.get_accounts()
result = app.acquire_token_silent_with_error(SCOPES, account=accounts[0]) if accounts else None
if cache.has_state_changed:
    with open(path, "w", encoding="utf-8") as file:
        file.write(cache.serialize())
if not result or "access_token" not in result:
    raise SystemExit(f"no token: {result}")
print(result["access_token"])
