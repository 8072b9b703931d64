"""Goal: the access file means what it says; what is wrong in it stops the start, with its place and without a token."""

from pathlib import Path

import pytest

from connectors.web.access import AccessKey, Role
from connectors.web.access_file import load_access_file
from schemas.credentials import digest_of
from schemas.errors import SettingError
from schemas.times import parse_time

TOKEN = "a-token-of-tests-12345"  # noqa: S105 - it opens nothing.


def load(folder: Path, text: str, environment: dict[str, str] | None = None) -> list[AccessKey]:
    path = folder / "access.yaml"
    path.write_text(text)
    return load_access_file(path, environment or {})


def test_an_entry_says_name_roles_expiry_and_rate(tmp_path: Path) -> None:
    first, second, third = load(
        tmp_path,
        "tokens:\n"
        f"  - {{name: desk, role: lookup, token: {TOKEN}, expires: 2027-01-31T00:00:00Z, requests_per_second: 2}}\n"
        f"  - {{name: both, roles: [collect, metrics], token: 'sha256:{digest_of('x').hex()}'}}\n"
        "  - {name: quoted, role: admin, token: 'env:OF_TESTS', expires: '2027-01-31T01:00:00+01:00'}\n",
        {"OF_TESTS": TOKEN + "-other"},
    )
    assert first == AccessKey(
        name="desk",
        roles=frozenset({Role.LOOKUP}),
        digest=digest_of(TOKEN),
        expires_us=parse_time("2027-01-31T00:00:00Z"),
        requests_per_second=2,
    )
    assert (second.roles, second.digest) == (frozenset({Role.COLLECT, Role.METRICS}), digest_of("x"))
    assert (third.digest, third.expires_us) == (digest_of(TOKEN + "-other"), first.expires_us)
    assert TOKEN not in repr([first, second, third])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tokens: [", "access.yaml: "),
        ("token: []", "unknown key 'token'; did you mean 'tokens'?"),
        (f"tokens: [{{name: a, rolle: lookup, token: {TOKEN}}}]", "unknown key 'rolle'; did you mean 'role'?"),
        (f"tokens: [{{name: a, role: lookups, token: {TOKEN}}}]", "tokens[0].role"),
        (f"tokens: [{{name: a, token: {TOKEN}}}]", "tokens[0] (a): say what it is for"),
        (f"tokens: [{{name: '', role: lookup, token: {TOKEN}}}]", "tokens[0]: a token needs a name"),
        ("tokens: [{name: a, role: lookup}]", "missing required field `token`"),
        ("tokens: [{name: a, role: lookup, token: short}]", "tokens[0] (a): a key has at least 16"),
        ("tokens: [{name: a, role: lookup, token: 1234567890123456}]", "tokens[0].token: Expected `str`, got `int`"),
        ("tokens: [{name: a, role: lookup, token: 'env:ABSENT'}]", "ABSENT is not set"),
        (f"tokens: [{{name: a, role: lookup, token: {TOKEN}, expires: 2027-01-31}}]", "is no time with its offset"),
        (f"tokens: [{{name: a, role: lookup, token: {TOKEN}, requests_per_second: 0}}]", "requests_per_second"),
        (f"tokens: [{{name: a, role: lookup, token: {TOKEN}, requests_per_second: .nan}}]", "requests_per_second"),
        (
            f"tokens: [{{name: a, role: lookup, token: {TOKEN}}}, {{name: a, role: lookup, token: {TOKEN}x}}]",
            "2 tokens are named 'a'",
        ),
        (f"tokens: [{{name: a, role: lookup, token: {TOKEN}}}", "access.yaml: "),
        ("tokens: !!python/object:os.system {}", "access.yaml: "),
    ],
)
def test_a_wrong_file_is_refused_with_its_place_and_without_a_token(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingError) as caught:
        load(tmp_path, text)
    assert told in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"absent\.yaml"):
        load_access_file(tmp_path / "absent.yaml", {})
