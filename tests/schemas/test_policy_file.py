"""identity.yaml: what it leaves out is the default, what it gets wrong stops the start with its name."""

from pathlib import Path

import pytest

from schemas import yaml_files
from schemas.errors import SettingError
from schemas.identity_policy import DEFAULT_POLICY, Kind, Normaliser, Policy, Strength
from schemas.policy_file import load_policy


def _load(folder: Path, text: str) -> Policy:
    path = folder / "identity.yaml"
    path.write_text(text)
    return load_policy(path)


def test_what_is_left_out_is_the_default(tmp_path: Path) -> None:
    assert _load(tmp_path, "{}") == DEFAULT_POLICY
    policy = _load(tmp_path, 'unlinkable: ["email:*@ours.example"]\nphone_region: NL')
    assert policy == Policy(DEFAULT_POLICY.kinds, DEFAULT_POLICY.drop, ("email:*@ours.example",), "NL")
    assert _load(tmp_path, "drop: []").drop == ()


def test_kinds_replace_the_default_ones(tmp_path: Path) -> None:
    policy = _load(
        tmp_path,
        "kinds:\n"
        "- {name: member, strength: identifying, unique: true, shared_from: 9, namespaced: true, normaliser: digits}\n"
        "- {name: cookie, strength: weak, shared_from: 3}\n"
        "- {name: ip, strength: none}\n",
    )
    assert policy.kinds == (
        Kind("member", Strength.IDENTIFYING, Normaliser.DIGITS, unique=True, shared_from=9, namespaced=True),
        Kind("cookie", Strength.WEAK, shared_from=3),
        Kind("ip", Strength.NONE),
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("kind: []", "unknown key 'kind'; did you mean 'kinds'"),
        ("kinds: [{name: a, strength: strong}]", "strong"),
        ("kinds: [{name: a, strength: weak, normalizer: text}]", "unknown key 'normalizer'; did you mean 'normaliser'"),
        ("kinds: [{name: a, strength: weak, normaliser: soundex}]", "soundex"),
        ("kinds: [{strength: weak}]", "name"),
        ("kinds: [{name: a, strength: weak}, {name: a, strength: none}]", "a kind is named twice"),
        ("kinds: [{name: a, strength: weak}, {name: b, strength: medium}]", "in the order of their strength"),
        ("kinds: [", "identity.yaml"),
        ("[]", "identity.yaml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(SettingError, match=reason) as caught:
        _load(tmp_path, text)
    assert str(tmp_path / "identity.yaml") in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"none\.yaml: No such file"):
        load_policy(tmp_path / "none.yaml")


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_files, "FILE_SIZE_BYTES_MAX", 10)
    with pytest.raises(SettingError, match="larger than 10 bytes"):
        _load(tmp_path, "drop: [a, b, c]")
