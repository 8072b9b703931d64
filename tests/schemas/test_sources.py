"""The registration of sources: what is wrong in it stops the start."""

from pathlib import Path

import pytest

from schemas.credentials import digest_of
from schemas.errors import SettingError
from schemas.identity_policy import Grade
from schemas.sources import SourceRegistry, WriteKey, load_sources
from schemas.times import parse_time


def load(folder: Path, text: str) -> SourceRegistry:
    path = folder / "sources.yaml"
    path.write_text(text)
    return load_sources(path)


def test_a_registration_says_channel_rank_and_grades(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        "sources:\n"
        "  till: {channel: store, rank: 3, realm: brand, namespace: north, mapping: till.yaml, default_for: store}\n"
        "  app: {grades: {login.done: login, '*': claimed}}\n",
    )
    till = registry.source("till")
    assert (till.channel, till.rank, till.realm, till.namespace) == ("store", 3, "brand", "north")
    assert registry.default_for("store") == "till"
    assert registry.default_for("web") is None
    assert registry.folder == tmp_path
    assert registry.source("app").grade("login.done") is Grade.LOGIN
    assert registry.source("app").grade("page.viewed") is Grade.CLAIMED
    registry.verify(("store",))


def test_an_unregistered_source_claims() -> None:
    source = SourceRegistry().source("anybody")
    assert (source.channel, source.rank, source.grade("record.changed")) == (None, 0, Grade.CLAIMED)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sources: {a: {chanel: web}}", "chanel"),
        ("surces: {}", "surces"),
        ("sources: [", "sources.yaml"),
        ("sources: {a: {rank: high}}", "rank"),
        ("sources: {a: {grades: {'*': sure}}}", "'sure'"),
        ("sources: {a: {default_for: web}}", "no mapping"),
        ("sources: {a: {default_for: web, mapping: m}, b: {default_for: web, mapping: m}}", "both default_for"),
    ],
)
def test_a_wrong_registration_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingError) as caught:
        load(tmp_path, text)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("registration", "told"),
    [
        ("{rnk: 1}", "sources.shop: unknown key 'rnk'; did you mean 'rank'?"),
        ("{rank: high}", "sources.shop.rank: "),
        ("{grades: {login.done: 1}}", "sources.shop.grades[...]: "),
        ("{signature: {header: X, secrt: x}}", "sources.shop.signature: unknown key 'secrt'; did you mean 'secret'?"),
        ("{write_keys: [{ky: long-enough}]}", "sources.shop.write_keys[0]: unknown key 'ky'; did you mean 'key'?"),
        ("{grades: {'*': recrod}}", "source 'shop': grades: *: grade 'recrod' is none of"),
        ("{realm: ''}", "source 'shop': realm: '' has to be 1 to 64 letters"),
        ("{namespace: crm north}", "source 'shop': namespace: 'crm north' has to be 1 to 64 letters"),
        ("{default_for: web}", "source 'shop' is default_for"),
        ("{write_key: short}", "source 'shop': write key 1: "),
    ],
)
def test_an_error_names_the_file_and_the_source(tmp_path: Path, registration: str, told: str) -> None:
    # A good one with a value that YAML makes a time of stands before it.
    other = "{write_keys: [{key: long-enough, expires: 2027-01-31T00:00:00Z}]}"
    with pytest.raises(SettingError) as caught:
        load(tmp_path, f"sources:\n  other: {other}\n  shop: {registration}\n")
    message = str(caught.value)
    assert message.count(str(tmp_path / "sources.yaml")) == 1
    assert told in message


def test_a_registration_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"absent\.yaml"):
        load_sources(tmp_path / "absent.yaml")


def test_a_channel_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="telex"):
        load(tmp_path, "sources: {a: {channel: telex}}").verify(("web",))


def test_keys_of_a_source_are_kept_by_their_digests_alone(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        "sources:\n"
        "  shop: {write_key: plain-key, requests_per_second: 5}\n"
        "  app: {write_keys: [another-key, {key: 'env:APP_KEY', expires: 2027-01-31T00:00:00Z}]}\n",
    )
    first, second, third = registry.write_keys({"APP_KEY": "key-of-the-app"})
    assert first == WriteKey("shop", digest_of("plain-key"), None, 5)
    assert second == WriteKey("app", digest_of("another-key"), None, None)
    assert third == WriteKey("app", digest_of("key-of-the-app"), parse_time("2027-01-31T00:00:00Z"), None)
    kept = repr([registry.sources, vars(registry), first])
    assert not [key for key in ("plain-key", "another-key", "key-of-the-app") if key in kept]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("write_key: short", "source 'a': write key 1: a key has at least 8 characters"),
        ("write_keys: [long-enough, 'not one key']", "source 'a': write key 2: "),
        ("write_keys: [{ky: long-enough}]", "unknown key 'ky'; did you mean 'key'?"),
        ("write_keys: [{key: long-enough, expires: soon}]", "write key 1: 'soon' is no time"),
        ("write_key: 12345678", "write_key: Expected `str"),
        ("requests_per_second: 0", "requests_per_second"),
    ],
)
def test_a_wrong_key_is_refused_with_its_place(tmp_path: Path, keys: str, told: str) -> None:
    with pytest.raises(SettingError) as caught:
        load(tmp_path, f"sources: {{a: {{{keys}}}}}")
    assert told in str(caught.value)
    assert "long-enough" not in str(caught.value)
