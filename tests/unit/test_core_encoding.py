"""Bytes as text, by the examples of the RFCs."""

from __future__ import annotations

from keyfob.core.encoding import base64url, basic, sha256_base64url


def test_rfc7515_appendix_c() -> None:
    assert base64url(bytes([3, 236, 255, 224, 193])) == "A-z_4ME"


def test_rfc7636_appendix_b() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert sha256_base64url(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_rfc7617_section_2() -> None:
    assert basic("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert basic("test", "123£") == "Basic dGVzdDoxMjPCow=="
