"""E-mail addresses: the domain in the form that mail goes to, and whether it is anybody's."""

import socket
from pathlib import Path

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.enrichment.email_address import FREE_MAIL_FILE, load_free_mail_domains
from schemas.enrichment.names import EnricherName
from schemas.enrichment.reading import Enricher, Reading

Enrichers = dict[EnricherName, Enricher]


def read(enrichers: Enrichers, text: str) -> Reading:
    return enrichers[EnricherName.EMAIL].read(text, "")


@pytest.mark.parametrize(
    ("text", "normal", "domain", "free"),
    [
        ("Ann@Example.COM", "Ann@example.com", "example.com", False),
        (" ann@gmail.com ", "ann@gmail.com", "gmail.com", True),
        ("ann+tag@googlemail.com", None, "googlemail.com", True),
        ("o'neill@ACME.co.uk", "o'neill@acme.co.uk", "acme.co.uk", False),
        ("ann@bücher.de", "ann@xn--bcher-kva.de", "xn--bcher-kva.de", False),
        ("ann@BÜCHER.de", "ann@xn--bcher-kva.de", "xn--bcher-kva.de", False),
        ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v", "xn--fsqu00a.xn--4rr70v", False),
        ("jose\u0301@example.com", "jos\u00e9@example.com", "example.com", False),
        ("ann@staging.test", None, "staging.test", False),
        ("ann@ziggo.nl", None, "ziggo.nl", True),
    ],
)
def test_an_address_is_read(enrichers: Enrichers, text: str, normal: str | None, domain: str, free: bool) -> None:
    assert read(enrichers, text) == (normal, {"domain": domain, "free": free}, None)
    if normal is not None:
        assert read(enrichers, normal).value is None


@pytest.mark.parametrize(
    "text",
    [
        "ann", "ann@", "@example.com", "ann@localhost", "ann@@example.com", "a..b@example.com", "ann@[192.0.2.1]",
        "Ann <ann@example.com>", "ann@ex ample.com", "\ud800@example.com", "ann@example.com, bob@example.com",
        "a" * 65 + "@localhost", "ann@" + "a." * 200 + "nl",
    ],
)  # fmt: skip
def test_what_is_no_address_fails_without_being_repeated(enrichers: Enrichers, text: str) -> None:
    assert read(enrichers, text) == (None, None, "no e-mail address")


def test_an_empty_text_is_no_fault(enrichers: Enrichers) -> None:
    assert read(enrichers, " ") == (None, None, None)


def test_the_network_is_never_asked(enrichers: Enrichers, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert read(enrichers, "somebody@never-seen-before.example").found is not None


def test_the_list_of_free_mail_is_lower_case_ascii_each_domain_once() -> None:
    lines = [line for line in FREE_MAIL_FILE.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == len(set(lines)) == len(load_free_mail_domains()) > 200
    assert all(line.isascii() and line == line.strip().lower() and "." in line for line in lines)


def test_a_list_may_have_comments_and_empty_lines(tmp_path: Path) -> None:
    (tmp_path / "domains.txt").write_text("# ours\n\nmail.example\n")
    assert load_free_mail_domains(tmp_path / "domains.txt") == {"mail.example"}


_LOCAL = st.one_of(
    st.text("aZ0.+-_!' @\"<>()é[]x", min_size=1, max_size=8),
    st.sampled_from(["ann", "a" * 64, "a" * 65, "postmaster", "Postmaster", ".a", "a.", "a..b"]),
)
_DOMAIN = st.one_of(
    st.text("aZ0.-1cxn", min_size=1, max_size=9),
    st.sampled_from(
        ["example.com", "EXAMPLE.com", "a.local", "test", "xn--bcher-kva.example", "XN--bcher-kva.example"]
    ),
    st.sampled_from(["ab--c.com", "a.1", "[1.2.3.4]", "a.com.", "x" * 64 + ".com", ".".join(["x" * 60] * 4) + ".com"]),
)


@settings(max_examples=600, deadline=None)
@given(local=_LOCAL, domain=_DOMAIN)
@example(local="Ann", domain="Example.COM")
@example(local="WebMaster", domain="example.com")
@example(local="a" * 64, domain=".".join(["x" * 60] * 3) + ".com")
def test_every_address_is_read_as_the_library_reads_it(
    local: str, domain: str, enrichers: dict[EnricherName, Enricher]
) -> None:
    text = f"{local}@{domain}".strip()
    reading = read(enrichers, text)
    try:
        address = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        assert reading.found is None
        assert reading.failed is not None
        return
    assert reading.failed is None or len(text) > 254
    if reading.failed is None:
        assert (reading.value or text) == f"{address.local_part}@{address.ascii_domain.lower()}"
        assert reading.found is not None
        assert reading.found["domain"] == address.ascii_domain.lower()
