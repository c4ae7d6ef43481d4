"""`keyfob request` and the streaming transport, against an API on
loopback that refuses, redirects, streams and challenges.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest

from keyfob.adapters.network.transport import HttpTransport
from keyfob.adapters.system.clock import now
from keyfob.adapters.system.keys import new_key
from keyfob.cli.api_pages import next_link
from keyfob.core.errors import Transient
from keyfob.core.http import Request
from support.cli_run import opens, run
from support.loopback_api import Api, Seen, rig_with_api, serving
from support.running import Ran

pytestmark = pytest.mark.network


api = pytest.fixture(serving)
elsewhere = pytest.fixture(serving, name="elsewhere")


class Home:
    """Services in memory, whose account's API is the one on loopback."""

    def __init__(self, folder: Path, api: Api, more: str = "") -> None:
        self.rig = rig_with_api(folder, api.base, more)
        self.engine: Any = SimpleNamespace(
            accounts=self.rig.accounts,
            signer=self.rig.signer,
            transport=HttpTransport(now, deadline=5),
            close=lambda: None,
        )

    def request(self, *argv: str, stdin: str = "") -> Ran:
        return run(["request", "example", *argv], opens(self.engine), stdin=stdin)


@pytest.fixture
def home(tmp_path: Path, api: Api) -> Home:
    return Home(tmp_path, api)


def test_a_call_is_made_and_its_answer_printed(home: Home, api: Api) -> None:
    api.answer = lambda seen: (200, {"Content-Type": "application/json"}, [b'{"a":', b"1}"])
    ran = home.request("get", "/me?x=1", "-H", "X-Note: mine", "-H", "Accept: text/plain")
    assert (ran.code, ran.out, ran.err) == (0, '{"a":1}', "")
    (seen,) = api.seen
    assert (seen.method, seen.path, seen.headers["authorization"]) == ("GET", "/me?x=1", "Bearer access-1")
    assert (seen.headers["x-note"], seen.headers["accept"]) == ("mine", "text/plain")


def test_a_body_is_sent_from_the_line_and_from_a_file(home: Home, api: Api, tmp_path: Path) -> None:
    (tmp_path / "body.bin").write_bytes(b"\0\xff")
    home.request("POST", "/a", "-d", '{"a": 1}')
    home.request("PUT", "/b", "-d", f"@{tmp_path}/body.bin", "-H", "Content-Type: application/octet-stream")
    assert [(seen.body, seen.headers["content-type"]) for seen in api.seen] == [
        (b'{"a": 1}', "application/json"),
        (b"\0\xff", "application/octet-stream"),
    ]
    missing = home.request("POST", "/a", "-d", "@/nonexistent")
    assert (missing.code, missing.out) == (2, "")


def test_an_answer_that_is_an_error_is_printed_with_exit_10(home: Home, api: Api) -> None:
    api.answer = lambda seen: (404, {}, [b"nothing here"])
    ran = home.request("GET", "/x")
    assert (ran.code, ran.out, ran.last) == (10, "nothing here", "keyfob: The API answered 404 Not Found")
    shown = home.request("GET", "/x", "-i")
    assert shown.out.startswith("HTTP/1.1 404 Not Found\n")


def test_two_headers_of_one_name_are_both_sent(home: Home, api: Api) -> None:
    ran = home.request("GET", "/a", "-H", "X-Tag: one", "-H", "x-tag: two", "-H", "Accept: text/plain")
    assert ran.code == 0
    assert api.seen[0].lines.count(("x-tag", "one")) == api.seen[0].lines.count(("x-tag", "two")) == 1
    assert [value for name, value in api.seen[0].lines if name == "accept"] == ["text/plain"]
    smuggled = home.request("GET", "/a", "-H", "X-Tag: one", "-H", "X-Tag: a\r\nAuthorization: b")
    assert (smuggled.code, len(api.seen)) == (2, 1)


def test_a_401_costs_one_replacement_and_one_repeat(home: Home, api: Api) -> None:
    api.answer = lambda seen: (200 if seen.headers["authorization"] == "Bearer access-2" else 401, {}, [b"x"])
    ran = home.request("POST", "/a", "-d", "body")
    assert (ran.code, ran.out) == (0, "x")
    assert [seen.body for seen in api.seen] == [b"body", b"body"]
    assert home.rig.server.log == ["refresh"]


def test_a_401_that_stays_is_the_answer(home: Home, api: Api) -> None:
    api.answer = lambda seen: (401, {}, [b"no"])
    ran = home.request("GET", "/a")
    assert (ran.code, ran.out, len(api.seen)) == (10, "no", 2)
    assert home.rig.server.log == ["refresh"]


@pytest.mark.parametrize(
    "address",
    ["https://evil.example/", "http://alice@127.0.0.1/", "http://127.0.0.1:1/", "//127.0.0.1/", "x"],
)
def test_s_64_another_host_is_refused(home: Home, api: Api, address: str) -> None:
    """S-64: an address that is not the provider's, `@` in it, another port → refused, nothing sent."""
    ran = home.request("GET", address)
    assert (ran.code, ran.out, api.seen) == (8, "", [])


@pytest.mark.parametrize(
    "line", ["Authorization: Bearer mine", "Connection: x", "Transfer-Encoding: chunked", "Host: x", "none"]
)
def test_s_64_a_callers_own_credentials_and_hop_by_hop_headers_are_refused(
    home: Home, api: Api, line: str
) -> None:
    """S-64: a client's own `Authorization`, hop-by-hop tricks → refused."""
    ran = home.request("GET", "/a", "-H", line)
    assert (ran.code, ran.out, api.seen) == (2, "", [])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_s_64_a_redirect_off_the_hosts_gets_nothing(
    home: Home, api: Api, elsewhere: Api, status: int
) -> None:
    """S-64: a redirect off the allowed hosts → refused, and its target receives nothing."""
    api.answer = lambda seen: (status, {"Location": f"{elsewhere.base}/steal"}, [])
    ran = home.request("GET", "/a")
    assert (ran.code, ran.out) == (8, "")
    assert elsewhere.seen == []


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [(302, "GET", b""), (303, "GET", b""), (307, "POST", b"b"), (308, "POST", b"b")],
)
def test_a_redirect_within_the_hosts_is_followed(
    home: Home, api: Api, status: int, method: str, body: bytes
) -> None:
    api.answer = lambda seen: (
        (status, {"Location": "../b"}, []) if seen.path == "/x/a" else (200, {}, [b"there"])
    )
    ran = home.request("POST", "/x/a", "-d", "b")
    assert (ran.code, ran.out) == (0, "there")
    assert (api.seen[1].method, api.seen[1].path, api.seen[1].body) == (method, "/b", body)
    assert api.seen[1].headers["authorization"] == "Bearer access-1"


def test_redirects_in_a_circle_end(home: Home, api: Api) -> None:
    api.answer = lambda seen: (302, {"Location": "/a"}, [])
    assert home.request("GET", "/a").code == 9
    assert len(api.seen) == 6


def test_a_token_in_the_query_is_put_there(tmp_path: Path, api: Api) -> None:
    home = Home(tmp_path, api, 'placement = "query"\nname = "key"')
    assert home.request("GET", "/a?b=c").code == 0
    assert api.seen[0].path == "/a?b=c&key=access-1"


def test_a_bound_token_is_signed_and_a_nonce_challenge_answered_once(home: Home, api: Api) -> None:
    home.rig.grants.save("key-1", replace(home.rig.held(), key=new_key(), token_type="DPoP", generation=2))

    def answer(seen: Seen) -> tuple[int, dict[str, str], list[bytes]]:
        proof = jwt.decode(seen.headers["dpop"], options={"verify_signature": False})
        if proof.get("nonce") == "n-1":
            return 200, {}, [b"fine"]
        return 401, {"WWW-Authenticate": 'DPoP error="use_dpop_nonce"', "DPoP-Nonce": "n-1"}, []

    api.answer = answer
    assert home.request("GET", "/a").out == "fine"
    assert [seen.headers["authorization"] for seen in api.seen] == ["DPoP access-1"] * 2
    assert home.rig.server.log == []


def test_terms_that_keep_the_token_from_tools_leave_requests(tmp_path: Path, api: Api) -> None:
    home = Home(tmp_path, api)
    file = home.rig.presets / "example.toml"
    file.write_text(file.read_text().replace("[policy]", '[policy]\nshare = false\nshare_reason = "Terms"'))
    assert run(["token", "example"], opens(home.engine)).code == 8
    assert home.request("GET", "/a").out == "fine"


# --- pages and jq -------------------------------------------------------------------------------------------


def paged(*pages: str, link: str = '<?page={}>; rel="next", </x?page=1>; rel=first') -> Any:
    """Answers `?page=N`, the first without a query, each with a link to the next."""

    def answer(seen: Seen) -> tuple[int, dict[str, str], list[bytes]]:
        number = int(seen.path.partition("page=")[2] or 1)
        more = {"Link": link.format(number + 1)} if number < len(pages) else {"Link": '<?page=1>; rel="prev"'}
        return 200, more, [pages[number - 1].encode()]

    return answer


def test_all_pages_of_a_list_are_one_list(home: Home, api: Api) -> None:
    api.answer = paged('[{"n": 1},\n {"n": 2}]', "[]", '[{"n": 3}]\n')
    ran = home.request("GET", "/x", "--paginate")
    assert (ran.code, json.loads(ran.out), ran.err) == (0, [{"n": 1}, {"n": 2}, {"n": 3}], "")
    assert [seen.path for seen in api.seen] == ["/x", "/x?page=2", "/x?page=3"]
    assert {seen.headers["authorization"] for seen in api.seen} == {"Bearer access-1"}
    objects = paged('{"a": 1}', '{"a": 2}')
    api.answer = objects
    assert home.request("GET", "/x", "--paginate").out == '{"a": 1}\n{"a": 2}'


def test_the_number_of_pages_has_a_bound(home: Home, api: Api) -> None:
    api.answer = paged("[1]", "[2]", "[3]")
    ran = home.request("GET", "/x", "--paginate", "--max-pages", "2")
    assert (ran.code, ran.out, len(api.seen)) == (0, "[1,2]", 2)
    assert ran.last == "There are more than 2 pages. To read more, add --max-pages N."


@pytest.mark.parametrize("link", ["<{}/x?page=2>; rel=next", "<//evil.example/x?page=2>; rel=next"])
def test_s_64_a_next_page_off_the_hosts_gets_nothing(home: Home, api: Api, elsewhere: Api, link: str) -> None:
    """S-64: a link off the allowed hosts → refused, and its target receives nothing."""
    api.answer = lambda seen: (200, {"Link": link.format(elsewhere.base)}, [b"[1]"])
    ran = home.request("GET", "/x", "--paginate")
    assert (ran.code, ran.out, elsewhere.seen) == (8, "", [])


def test_pages_in_a_circle_end(home: Home, api: Api) -> None:
    api.answer = lambda seen: (200, {"Link": "</x>; rel=next"}, [b"[1]"])
    ran = home.request("GET", "/x", "--paginate")
    assert (ran.code, ran.out, len(api.seen)) == (9, "", 1)


def test_a_page_that_is_an_error_is_printed_alone(home: Home, api: Api) -> None:
    pages = paged("[1]", "[2]")
    api.answer = lambda seen: (503, {}, [b"busy"]) if "page=2" in seen.path else pages(seen)
    ran = home.request("GET", "/x", "--paginate", "--jq", ".[]")
    assert (ran.code, ran.out, ran.last) == (10, "busy", "keyfob: The API answered 503 Service Unavailable")


def test_pages_are_got_and_their_status_is_not_printed(home: Home, api: Api) -> None:
    for more in (["POST", "/x"], ["GET", "/x", "-d", "{}"], ["GET", "/x", "-i"]):
        ran = home.request(*more, "--paginate")
        assert (ran.code, ran.out, api.seen) == (2, "", []), more


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ("<a>; rel=next", "a"),
        ('<a>;title="x, <b>; rel=next";rel="next"', "a"),
        ('<a>; rel="prev", <b?x=1,2>; REL="last NEXT"', "b?x=1,2"),
        ("<a>; rel=prev; rel=next", None),
        ('<a>; rel=next; anchor="#part", <b>; rel=next', "b"),
        ("<a>, <b>; rel=nextish", None),
        ("a; rel=next", None),
        ("", None),
    ],
)
def test_links_are_read_as_rfc_8288_has_them(header: str, target: str | None) -> None:
    assert next_link(header) == target


def test_a_hostile_link_header_takes_no_time() -> None:
    started = time.process_time()
    assert next_link("<" * 60_000) is None
    assert time.process_time() - started < 1


def test_jq_selects_from_the_response(home: Home, api: Api) -> None:
    api.answer = paged('[{"id": 12345678901234567890, "name": "ä"}]', '[{"id": 2, "name": "b"}]')
    assert home.request("GET", "/x", "--paginate", "--jq", ".[].name").out == "ä\nb\n"
    assert home.request("GET", "/x", "--paginate", "-q", "length").out == "2\n"
    assert home.request("GET", "/x", "--jq", ".[0].id").out == "12345678901234567890\n"
    api.answer = lambda seen: (200, {}, [b'{"a": {"b": [1, null]}}'])
    assert home.request("POST", "/x", "-d", "{}", "--jq", ".a").out == '{"b":[1,null]}\n'


def test_jq_says_what_is_wrong(home: Home, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = home.request("GET", "/x", "--jq", ".[")
    assert (wrong.code, wrong.out, api.seen) == (2, "", [])
    api.answer = lambda seen: (200, {}, [b'{"a": 1}'])
    unfit = home.request("GET", "/x", "--jq", ".a[0]")
    assert (unfit.code, unfit.out) == (2, "")
    assert unfit.last.startswith("keyfob: --jq: Cannot index number with number (0).")
    api.answer = lambda seen: (200, {}, [b"<html>"])
    html = home.request("GET", "/x", "--jq", ".a")
    assert (html.code, html.out) == (9, "")
    assert html.last == "keyfob: The response is not JSON. To see the response, leave out --jq."
    monkeypatch.setitem(sys.modules, "jq", None)
    missing = home.request("GET", "/x", "--jq", ".a")
    assert (missing.code, missing.out) == (8, "")
    assert "pip install 'keyfob[jq]'" in missing.last


# --- the stream ---------------------------------------------------------------------------------------------


def test_pieces_come_as_they_are_sent(api: Api) -> None:
    """The answer has no length and its pieces come apart: each is there before the next is sent."""
    got = threading.Semaphore(0)
    api.answer = lambda seen: (200, {}, [b"one", b"two", b"three"])
    api.between = lambda: got.acquire(timeout=5) or None
    pieces = []
    with HttpTransport(now).stream(Request("GET", f"{api.base}/a", "api")) as answer:
        assert answer.status == 200
        for piece in answer.body:
            pieces.append(piece)
            got.release()
    assert pieces == [b"one", b"two", b"three"]


def test_an_answer_longer_than_keyfob_reads_is_streamed(api: Api) -> None:
    api.answer = lambda seen: (200, {}, [b"x" * 65536] * 64)
    with HttpTransport(now, body_most=1000).stream(Request("GET", f"{api.base}/a", "api")) as answer:
        assert sum(map(len, answer.body)) == 64 * 65536


def test_a_peer_that_falls_silent_ends_the_stream(api: Api) -> None:
    api.answer = lambda seen: (200, {}, [b"one", b"two"])
    api.between = lambda: time.sleep(1.5)
    with (
        pytest.raises(Transient) as caught,
        HttpTransport(now).stream(Request("GET", f"{api.base}/a", "api"), patience=0.5) as answer,
    ):
        list(answer.body)
    assert caught.value.code == "network_timeout"


def test_what_the_reader_raises_is_its_own(api: Api) -> None:
    def read() -> None:
        with HttpTransport(now).stream(Request("GET", f"{api.base}/a", "api")) as answer:
            next(answer.body)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read()


def test_nobody_there_is_told_as_ever() -> None:
    with (
        pytest.raises(Transient) as caught,
        HttpTransport(now).stream(Request("GET", "http://127.0.0.1:1/", "api")),
    ):
        pass
    assert (caught.value.code, caught.value.sent) == ("network_unreachable", False)


def test_the_sign_verb_answers_as_the_agent_does(home: Home, api: Api) -> None:
    ran = run(
        ["sign", "example"],
        opens(home.engine),
        stdin=json.dumps({"method": "GET", "url": f"{api.base}/a"}),
    )
    assert json.loads(ran.out)["headers"] == {"Authorization": "Bearer access-1"}
    assert (
        "sign"
        not in run(["--help"], opens(home.engine)).out.replace("Sign in", "").replace("signs", "").split()
    )
    assert run(["sign", "example"], opens(home.engine), stdin="[]").code == 2
