"""The authorization response judged: every request that must not be taken, and the ones that must."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.core.errors import PeerFault, Usage
from keyfob.core.secret import Secret
from keyfob.protocol.effects import Expectation
from keyfob.protocol.http.request import MAX_HEADERS, MAX_LINE
from keyfob.protocol.oauth.callback import (
    Accepted,
    Refused,
    Visit,
    Why,
    judge,
    read_paste,
    read_query,
    read_request,
    same_state,
)

HOST = "127.0.0.1:9876"
HOSTS = frozenset({HOST})
STATE = "st4te-" + "x" * 22
EXPECTED = Expectation(Secret(STATE))
ISSUER = "https://id.example"
WITH_ISSUER = Expectation(Secret(STATE), issuer=ISSUER, iss_required=True)
REDIRECT = f"http://{HOST}/callback"


def request(
    target: str = f"/callback?code=c&state={STATE}",
    *lines: str,
    method: str = "GET",
    version: str = "HTTP/1.1",
    host: str | None = HOST,
) -> bytes:
    head = [f"{method} {target} {version}", *([f"Host: {host}"] if host is not None else []), *lines]
    return "\r\n".join([*head, "", ""]).encode()


def verdict(data: bytes, expectation: Expectation = EXPECTED) -> Accepted | Refused:
    visit = read_request(data, HOSTS)
    assert visit is not None
    return visit if isinstance(visit, Refused) else judge(visit, expectation)


def refused(data: bytes, expectation: Expectation = EXPECTED) -> Why:
    result = verdict(data, expectation)
    assert isinstance(result, Refused), result
    return result.why


def query(*pairs: tuple[str, str]) -> bytes:
    return request("/callback?" + urlencode(pairs))


def test_a_plain_navigation_is_accepted() -> None:
    result = verdict(request())
    assert isinstance(result, Accepted)
    assert result.params == {"code": "c", "state": STATE}
    assert result.state_checked


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: cross-site"),
        (
            "Sec-Fetch-Site: none",
            "Sec-Fetch-Mode: navigate",
            "Sec-Fetch-Dest: document",
            "Sec-Fetch-User: ?1",
        ),
        ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Origin: null"),
        ("Cookie: other=server", "Content-Length: 0", "Connection: keep-alive"),
    ],
)
def test_what_browsers_send_along_is_accepted(headers: tuple[str, ...]) -> None:
    assert isinstance(verdict(request(f"/callback?code=c&state={STATE}", *headers)), Accepted)


class TestHost:
    """S-16: Host checked."""

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:9876",
            "localhost:9876",
            "127.0.0.1",
            "127.0.0.1:9877",
            "127.0.0.1:9876.evil.example",
            "127.1:9876",
            "0.0.0.0:9876",
            "[::1]:9876",
            "",
            None,
            f"{HOST}, {HOST}",
        ],
    )
    def test_s16_foreign_or_missing(self, host: str | None) -> None:
        data = request(host=host)
        assert refused(data) is Why.HOST
        assert Refused(Why.HOST).status == 400

    def test_s16_missing_in_http_1_0(self) -> None:
        assert refused(request(version="HTTP/1.0", host=None)) is Why.HOST

    def test_s16_doubled(self) -> None:
        for second in (HOST, "evil.example"):
            assert refused(request("/callback", f"Host: {second}")) is Why.HOST

    @pytest.mark.parametrize(
        "target",
        [f"http://{HOST}/callback?code=c&state={STATE}", f"//{HOST}/callback", HOST, "*", "callback", ""],
    )
    def test_s16_absolute_and_other_forms(self, target: str) -> None:
        result = verdict(request(target))
        assert isinstance(result, Refused)
        assert result.status in (400, 404)

    def test_s16_absolute_form_is_400(self) -> None:
        assert Refused(refused(request(f"http://{HOST}/callback"))).status == 400


class TestMethodAndPath:
    """S-17: exact method and path."""

    @pytest.mark.parametrize("method", ["POST", "OPTIONS", "HEAD", "PUT", "DELETE", "CONNECT", "TRACE"])
    def test_s17_methods(self, method: str) -> None:
        why = refused(request(method=method))
        assert Refused(why).status == 405

    @pytest.mark.parametrize("method", ["get", "Get", "G E T", "", "GET\t"])
    def test_s17_no_method_at_all(self, method: str) -> None:
        assert refused(request(method=method)) is Why.MALFORMED

    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "//callback",
            "/callback/",
            "/callback;x",
            "/Callback",
            "/%63allback",
            "/callback%00",
            "/callback%2F",
            "/./callback",
            "/x/../callback",
            "/favicon.ico",
            "/callback2",
            "/callbac",
        ],
    )
    def test_s17_paths(self, path: str) -> None:
        why = refused(request(f"{path}?code=c&state={STATE}"))
        assert Refused(why).status == 404

    def test_an_empty_path_is_the_root(self) -> None:
        bare = Expectation(Secret(STATE), path="")
        assert isinstance(verdict(request(f"/?code=c&state={STATE}"), bare), Accepted)


class TestNavigation:
    """S-18: top-level navigation only."""

    @pytest.mark.parametrize(
        "headers",
        [
            ("Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image", "Sec-Fetch-Site: cross-site"),
            ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe", "Sec-Fetch-Site: cross-site"),
            ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: object"),
            ("Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty", "Origin: https://evil.example"),
            ("Sec-Fetch-Mode: websocket", "Sec-Fetch-Dest: websocket"),
            ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Mode: navigate"),
            ("Sec-Fetch-Dest: document", "Sec-Fetch-Dest: image"),
            ("Sec-Fetch-Site: nonsense",),
            ("Origin: https://evil.example",),
            ("Origin: null",),
            ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Purpose: prefetch;prerender"),
            ("Purpose: prefetch",),
        ],
    )
    def test_s18_images_frames_and_fetches(self, headers: tuple[str, ...]) -> None:
        why = refused(request(f"/callback?code=c&state={STATE}", *headers))
        assert Refused(why).status == 403


class TestLimits:
    """S-19: limits."""

    def test_s19_line(self) -> None:
        def long(extra: int) -> str:
            fixed = len(f"GET /callback?state={STATE}&code= HTTP/1.1")
            return f"/callback?state={STATE}&code=" + "c" * (MAX_LINE - fixed + extra)

        assert isinstance(verdict(request(long(0))), Accepted)
        assert refused(request(long(1))) is Why.TOO_LONG

    def test_s19_line_without_end(self) -> None:
        assert read_request(b"GET /" + b"a" * MAX_LINE, HOSTS) == Refused(Why.TOO_LONG)

    def test_s19_headers(self) -> None:
        target = f"/callback?code=c&state={STATE}"
        assert isinstance(verdict(request(target, "X: " + "h" * (MAX_HEADERS - 100))), Accepted)
        assert refused(request(target, "X: " + "h" * MAX_HEADERS)) is Why.TOO_LONG

    def test_s19_headers_without_end(self) -> None:
        data = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (MAX_HEADERS // 6 + 1)
        assert read_request(data, HOSTS) == Refused(Why.TOO_LONG)

    @pytest.mark.parametrize(
        "header", ["Content-Length: 1", "Content-Length: -0", "Content-Length: 0\r\nContent-Length: 5"]
    )
    def test_s19_a_body_told_of(self, header: str) -> None:
        assert refused(request("/callback", header)) is Why.BODY

    def test_s19_a_chunked_body(self) -> None:
        assert refused(request("/callback", "Transfer-Encoding: chunked")) is Why.BODY

    def test_s19_a_body_not_told_of(self) -> None:
        assert read_request(request() + b"x", HOSTS) == Refused(Why.BODY)

    def test_s19_a_second_request_on_the_connection(self) -> None:
        assert read_request(request() * 2, HOSTS) == Refused(Why.BODY)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01",  # TLS
        b"GET / HTTP/1.1\nHost: 127.0.0.1:9876\n\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:9876\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:9876\r\nX: a\r\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\rb\r\nHost: 127.0.0.1:9876\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\x00b\r\nHost: 127.0.0.1:9876\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\r\n b\r\nHost: 127.0.0.1:9876\r\n\r\n",
        b"GET / HTTP/1.1\r\nX : a\r\nHost: 127.0.0.1:9876\r\n\r\n",
        b"GET / HTTP/1.1\r\nX\r\nHost: 127.0.0.1:9876\r\n\r\n",
        b"GET / HTTP/1.1\r\n: x\r\nHost: 127.0.0.1:9876\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: 127.0.0.1:9876\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: 127.0.0.1:9876\r\n\r\n",
        b"GET /\r\nHost: 127.0.0.1:9876\r\n\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: 127.0.0.1:9876\r\n\r\n",
        b"GET /callback#code=c HTTP/1.1\r\nHost: 127.0.0.1:9876\r\n\r\n",
    ],
)
def test_malformed_requests(data: bytes) -> None:
    assert read_request(data, HOSTS) == Refused(Why.MALFORMED)


class TestState:
    """S-5, S-6: the state comes first, on errors too."""

    @pytest.mark.parametrize(
        "pairs",
        [
            [("code", "c")],
            [("code", "c"), ("state", "")],
            [("code", "c"), ("state", STATE[:-1])],
            [("code", "c"), ("state", STATE + "x")],
            [("code", "c"), ("state", STATE.upper())],
            [("code", "c"), ("State", STATE)],
        ],
    )
    def test_s5_missing_or_wrong(self, pairs: list[tuple[str, str]]) -> None:
        assert refused(query(*pairs)) is Why.STATE

    def test_s5_an_empty_expectation_matches_nothing(self) -> None:
        assert refused(query(("code", "c"), ("state", "")), Expectation(Secret(""))) is Why.STATE

    def test_s6_an_error_without_the_state(self) -> None:
        assert refused(query(("error", "access_denied"))) is Why.STATE
        assert refused(query(("error", "access_denied"), ("state", "other"))) is Why.STATE

    def test_s6_an_error_with_the_state(self) -> None:
        result = verdict(query(("error", "access_denied"), ("state", STATE)))
        assert isinstance(result, Accepted)
        assert result.params["error"] == "access_denied"

    def test_a_server_without_state_shows_it_in_the_path(self) -> None:
        expectation = Expectation(Secret(STATE), path=f"/callback/{STATE}", stateless=True)
        assert isinstance(verdict(request(f"/callback/{STATE}?code=c"), expectation), Accepted)
        assert refused(request("/callback?code=c"), expectation) is Why.NOT_FOUND
        assert refused(request("/callback/guess?code=c"), expectation) is Why.NOT_FOUND

    def test_same_state_tells_a_reload_from_a_stranger(self) -> None:
        assert same_state(f"code=c&state={STATE}", EXPECTED)
        assert not same_state("code=c&state=other", EXPECTED)
        assert not same_state(f"state={STATE}&state={STATE}", EXPECTED)


class TestIssuer:
    """S-7: `iss` in the callback."""

    @pytest.mark.parametrize("what", [("code", "c"), ("error", "access_denied")])
    @pytest.mark.parametrize(
        "issuers", [[], ["https://evil.example"], [ISSUER + "/"], [""], [ISSUER.upper()]]
    )
    def test_s7_wrong_or_absent(self, what: tuple[str, str], issuers: list[str]) -> None:
        pairs = [what, ("state", STATE), *(("iss", issuer) for issuer in issuers)]
        assert refused(query(*pairs), WITH_ISSUER) is Why.ISSUER

    def test_s7_doubled(self) -> None:
        data = query(("code", "c"), ("state", STATE), ("iss", ISSUER), ("iss", ISSUER))
        assert refused(data, WITH_ISSUER) is Why.DOUBLED

    def test_s7_right(self) -> None:
        data = query(("code", "c"), ("state", STATE), ("iss", ISSUER))
        assert isinstance(verdict(data, WITH_ISSUER), Accepted)

    def test_s7_wrong_though_not_promised(self) -> None:
        expectation = Expectation(Secret(STATE), issuer=ISSUER)
        assert refused(query(("code", "c"), ("state", STATE), ("iss", "https://e.example")), expectation) is (
            Why.ISSUER
        )
        assert isinstance(verdict(query(("code", "c"), ("state", STATE)), expectation), Accepted)

    def test_s7_promised_by_a_server_whose_issuer_is_unknown(self) -> None:
        expectation = Expectation(Secret(STATE), iss_required=True)
        assert refused(query(("code", "c"), ("state", STATE), ("iss", ISSUER)), expectation) is Why.ISSUER

    def test_an_issuer_that_nobody_can_check_is_ignored(self) -> None:
        assert isinstance(verdict(query(("code", "c"), ("state", STATE), ("iss", ISSUER))), Accepted)


class TestParameters:
    """S-10: no parameter twice, unknown ones ignored."""

    @pytest.mark.parametrize(
        "text",
        [
            f"code=a&code=b&state={STATE}",
            f"code=a&%63ode=b&state={STATE}",
            f"code=a&code&state={STATE}",
            f"code=a&state={STATE}&st%61te={STATE}",
            f"code=a&state={STATE}&x=1&x=2",
        ],
    )
    def test_s10_doubled(self, text: str) -> None:
        assert refused(request(f"/callback?{text}")) is Why.DOUBLED
        assert Refused(Why.DOUBLED).status == 400

    def test_s10_unknown_ignored(self) -> None:
        result = verdict(
            query(
                ("code", "c"), ("state", STATE), ("session_state", "s"), ("scope", "a b"), ("authuser", "0")
            )
        )
        assert isinstance(result, Accepted)
        assert result.params["scope"] == "a b"

    @pytest.mark.parametrize("text", ["code=%", "code=%4", "code=%zz", "%=1"])
    def test_broken_escapes(self, text: str) -> None:
        assert refused(request(f"/callback?{text}&state={STATE}")) is Why.MALFORMED

    def test_a_description_in_latin_1_does_not_hide_the_error(self) -> None:
        data = request(f"/callback?error=access_denied&error_description=refus%e9&state={STATE}")
        assert isinstance(verdict(data), Accepted)

    @pytest.mark.parametrize("text", ["", "code=", "code=a%0d%0ab", "code=a&error=b", "code=%00", "code=%ff"])
    def test_neither_or_both_or_broken(self, text: str) -> None:
        assert refused(request(f"/callback?{text}&state={STATE}")) is Why.NO_CODE

    def test_another_name_for_the_code(self) -> None:
        expectation = Expectation(Secret(STATE), code_param="token")
        assert isinstance(verdict(query(("token", "t"), ("state", STATE)), expectation), Accepted)
        assert refused(query(("code", "t"), ("state", STATE)), expectation) is Why.NO_CODE


class TestPaste:
    """Pasted text, under the same checks as the browser's visit."""

    def paste(self, text: str, form: str | None = None, expectation: Expectation = EXPECTED) -> Accepted:
        return read_paste(text, form=form, redirect_uri=REDIRECT, expectation=expectation)

    @pytest.mark.parametrize("form", [None, "url", "code", "code#state"])
    @pytest.mark.parametrize(
        "text",
        [
            f"{REDIRECT}?code=c&state={STATE}",
            f"  {REDIRECT}?state={STATE}&code=c#_=_\n",
            f"?code=c&state={STATE}",
            f"code=c&state={STATE}",
        ],
    )
    def test_an_address_or_its_query(self, form: str | None, text: str) -> None:
        accepted = self.paste(text, form)
        assert accepted.params == {"code": "c", "state": STATE}
        assert accepted.state_checked

    def test_code_and_state(self) -> None:
        accepted = self.paste(f"c0de#{STATE}", "code#state")
        assert accepted.params == {"code": "c0de", "state": STATE}

    def test_code_and_another_state(self) -> None:
        with pytest.raises(PeerFault) as caught:
            self.paste("c0de#other", "code#state")
        assert caught.value.code == "state_mismatch"

    @pytest.mark.parametrize("text", ["c0de", "c0de#"])
    def test_half_of_code_and_state(self, text: str) -> None:
        with pytest.raises(Usage):
            self.paste(text, "code#state")

    def test_a_bare_code_tells_that_no_state_was_checked(self) -> None:
        accepted = self.paste("4/0Ab_c-d", "code")
        assert accepted.params == {"code": "4/0Ab_c-d"}
        assert not accepted.state_checked

    def test_a_bare_code_from_a_server_that_promised_its_issuer(self) -> None:
        with pytest.raises(PeerFault) as caught:
            self.paste("c0de", "code", WITH_ISSUER)
        assert caught.value.code == "issuer_mismatch"

    @pytest.mark.parametrize("form", [None, "url"])
    def test_a_bare_code_where_the_preset_does_not_say_so(self, form: str | None) -> None:
        with pytest.raises(Usage):
            self.paste("c0de", form)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "   ",
            "co de",
            "code\x1b[31m",
            "co\u202ede",
            "c" * 20_000,
            "кодъ",
            f"https://{HOST}/callback?code=c&state={STATE}",
            f"http://127.0.0.1:1/callback?code=c&state={STATE}",
            f"http://{HOST}/other?code=c&state={STATE}",
            f"http://[/callback?code=c&state={STATE}",
            "https://id.example/authorize?client_id=x&state=" + STATE,
        ],
    )
    def test_what_is_no_answer(self, text: str) -> None:
        with pytest.raises(Usage):
            self.paste(text, "code")

    @pytest.mark.parametrize(
        ("tail", "code"),
        [
            ("?code=c", "state_mismatch"),
            ("?code=c&state=other", "state_mismatch"),
            ("?error=access_denied", "state_mismatch"),
            (f"?code=c&code=d&state={STATE}", "protocol_violation"),
            (f"?state={STATE}", "protocol_violation"),
        ],
    )
    def test_another_attempts_answer(self, tail: str, code: str) -> None:
        with pytest.raises(PeerFault) as caught:
            self.paste(REDIRECT + tail)
        assert caught.value.code == code
        assert "other" not in str(caught.value).split()[-1]

    def test_an_answer_at_an_address_that_is_not_loopback(self) -> None:
        accepted = read_paste(
            f"https://console.example/oauth/code/callback?code=c&state={STATE}",
            form="code#state",
            redirect_uri="https://console.example/oauth/code/callback",
            expectation=EXPECTED,
        )
        assert accepted.params["code"] == "c"


class TestProperties:
    @given(st.binary(max_size=400))
    def test_no_bytes_break_the_reader(self, data: bytes) -> None:
        assert isinstance(read_request(data, HOSTS), Visit | Refused | None)

    @given(st.binary(max_size=200))
    def test_nothing_but_the_state_opens(self, noise: bytes) -> None:
        data = b"GET /callback?" + noise + b" HTTP/1.1\r\nHost: 127.0.0.1:9876\r\n\r\n"
        result = read_request(data, HOSTS)
        assert not (isinstance(result, Visit) and isinstance(judge(result, EXPECTED), Accepted))

    @given(st.integers(min_value=0))
    def test_every_beginning_of_a_good_request_waits_for_more(self, cut: int) -> None:
        whole = request(f"/callback?code=c&state={STATE}", "Accept: */*")
        assert read_request(whole[: cut % len(whole)], HOSTS) is None

    @given(st.dictionaries(st.text(min_size=1), st.text(), max_size=6))
    def test_what_was_encoded_is_read_back(self, params: dict[str, str]) -> None:
        encoded = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in params.items())
        assert read_query(encoded) == params

    @given(st.text(), st.text(), st.text(min_size=1))
    def test_a_name_twice_is_refused_however_it_is_written(self, a: str, b: str, name: str) -> None:
        written = "".join(f"%{byte:02x}" for byte in name.encode())
        assert read_query(urlencode({name: a}) + f"&{written}={quote(b)}") == Refused(Why.DOUBLED)

    @given(st.text(max_size=300), st.sampled_from([None, "url", "code", "code#state"]))
    def test_pasted_text_is_taken_or_refused_by_name(self, text: str, form: str | None) -> None:
        try:
            accepted = read_paste(text, form=form, redirect_uri=REDIRECT, expectation=EXPECTED)
        except (Usage, PeerFault):
            return
        assert form == "code"
        assert not accepted.state_checked


def test_nothing_secret_in_reprs() -> None:
    visit = read_request(request(), HOSTS)
    assert isinstance(visit, Visit)
    assert STATE not in repr(visit)
    assert STATE not in repr(judge(visit, EXPECTED))
