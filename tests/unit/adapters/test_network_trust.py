"""Which proxy is taken and whose certificates are believed, as the environment says."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from keyfob.adapters.network import trust
from keyfob.core.errors import SettingWrong
from support.certificates import Authority


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("http://proxy.test:3128", ("http://proxy.test:3128", None)),
        ("proxy.test:3128", ("http://proxy.test:3128", None)),
        ("http://proxy.test", ("http://proxy.test:80", None)),
        ("https://proxy.test", ("https://proxy.test:443", None)),
        ("http://me:p%40ss@proxy.test:1", ("http://proxy.test:1", ("me", "p@ss"))),
        ("http://me@proxy.test:1", ("http://proxy.test:1", ("me", ""))),
        ("http://[2001:db8::1]:3128", ("http://[2001:db8::1]:3128", None)),
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_setting_is_read(
    name: str, setting: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, setting)
    assert trust.proxy_for("https", "op.test", 443) == expected


def test_no_setting_means_straight() -> None:
    assert trust.proxy_for("https", "op.test", 443) is None


@pytest.mark.parametrize("setting", ["socks5://p:1", "http://", "http://p:x", "http://p:99999", "ftp://p"])
def test_a_setting_that_is_not_understood_is_never_passed_by(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", setting)
    with pytest.raises(SettingWrong) as caught:
        trust.proxy_for("https", "op.test", 443)
    assert caught.value.code == "proxy_unsupported"


@pytest.mark.parametrize(
    ("exceptions", "straight"),
    [
        ("op.test", True),
        (".test", True),
        ("*", True),
        ("op.test:443", True),
        ("op.test:8443", False),
        ("x", False),
    ],
)
def test_no_proxy_names_exceptions(exceptions: str, straight: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:1")
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert (trust.proxy_for("https", "op.test", 443) is None) is straight


def test_verification_is_always_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")
    context = trust.tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_python_built_elsewhere_finds_the_systems_authorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = ssl.DefaultVerifyPaths(None, None, "SSL_CERT_FILE", "/absent", "SSL_CERT_DIR", "/absent")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: None)
    bundle = Authority(tmp_path, "The System").bundle
    monkeypatch.setattr(trust, "BUNDLES", ("/absent/too", str(bundle)))
    [authority] = trust.tls_context().get_ca_certs()
    assert (("commonName", "The System"),) in authority["subject"]


def test_a_bundle_that_holds_no_certificate_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.pem").write_text("nothing here")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "empty.pem"))
    with pytest.raises(SettingWrong) as caught:
        trust.tls_context()
    assert caught.value.code == "ca_file_faulty"
