"""identity.yaml: what it leaves out is the default, what it gets wrong stops the start with its name."""

from pathlib import Path

import msgspec
import pytest

from schemas import yaml_files
from schemas.errors import SettingError
from schemas.identity_policy import DEFAULT_POLICY, Case, Extension, Kind, LookAlikes, Normaliser, Policy, Strength
from schemas.policy_contradictions import contradictions
from schemas.policy_file import load_policy
from schemas.policy_parts import decode_policy, encode_policy, routing_differences


def _load(folder: Path, text: str) -> Policy:
    path = folder / "identity.yaml"
    path.write_text(text)
    return load_policy(path)


def test_what_is_left_out_is_the_default(tmp_path: Path) -> None:
    assert _load(tmp_path, "{}") == DEFAULT_POLICY
    policy = _load(tmp_path, 'unlinkable: ["email:*@ours.example"]\nphone_region: NL')
    assert policy == Policy(DEFAULT_POLICY.kinds, DEFAULT_POLICY.drop, ("email:*@ours.example",), "NL")
    assert _load(tmp_path, "drop: []").drop == ()


#: Design: kind, strength, unique, limits, normaliser, and what else is said of it.
TABLE = """
crm          identifying  unique  20  20  text      namespaced
account      identifying  -       20  20  text      -
email        identifying  -       20  20  email     -
national_id  identifying  unique  2   0   checksum  off,hidden
loyalty      medium       -       0   0   digits    -
social       medium       -       0   0   platform  -
phone        medium       -       0   0   phone     -
other        medium       -       0   0   text      -
app          weak         -       6   0   uuid      -
device       weak         -       6   0   uuid      -
cookie       weak         -       6   0   trim      -
anonymous    weak         -       6   0   trim      -
session      none         -       0   0   trim      -
ip           none         -       0   0   trim      -
company      none         -       0   0   trim      group
household    none         -       0   0   trim      group
"""


def test_the_default_is_the_table_and_every_rule_for_values_is_off() -> None:
    lines = []
    for kind in DEFAULT_POLICY.kinds:
        said = {"namespaced": kind.namespaced, "off": not kind.enabled, "hidden": kind.hidden, "group": kind.group}
        lines.append(
            [
                kind.name,
                kind.strength.name.lower(),
                "unique" if kind.unique else "-",
                str(kind.shared_from),
                str(kind.claimed_from),
                kind.normaliser.value,
                ",".join(word for word, holds in said.items() if holds) or "-",
            ]
        )
        rules = (kind.plus, kind.dots, kind.extension, kind.case, kind.look_alikes)
        assert rules == ((), (), Extension.DROP, Case.KEEP, LookAlikes.KEEP)
    assert lines == [line.split() for line in TABLE.split("\n") if line]
    assert (DEFAULT_POLICY.unlinkable, DEFAULT_POLICY.phone_region, DEFAULT_POLICY.cluster_limit) == ((), "", 100)
    assert list(contradictions(DEFAULT_POLICY)) == []


def test_rules_for_values_are_read_and_written_as_they_are_compared(tmp_path: Path) -> None:
    policy = _load(
        tmp_path,
        "kinds:\n"
        "- {name: crm, strength: identifying, normaliser: text, case: fold, look_alikes: drop}\n"
        "- {name: email, strength: identifying, normaliser: email, plus: all, dots: [Gmail.com, exämple.com]}\n"
        "- {name: phone, strength: medium, normaliser: phone, extension: keep}\n",
    )
    crm, email, phone = policy.kinds
    assert (crm.case, crm.look_alikes) == (Case.FOLD, LookAlikes.DROP)
    assert (email.plus, email.dots) == (("*",), ("gmail.com", "xn--exmple-cua.com"))
    assert phone.extension is Extension.KEEP
    assert decode_policy(encode_policy(policy)) == policy
    # All of them route: a policy that differs in one is another routing.
    plain = [Kind(kind.name, kind.strength, kind.normaliser) for kind in policy.kinds]
    differences = " ".join(routing_differences(policy, msgspec.structs.replace(policy, kinds=tuple(plain))))
    for key in ("crm.case", "crm.look_alikes", "email.plus", "email.dots", "phone.extension"):
        assert f"kinds.{key}: " in differences


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
        ("kinds: [{name: a, strength: strong}]", "kinds.a.strength: there is no 'strong'"),
        ("kinds: [{name: a, strength: weak, normalizer: text}]", "unknown key 'normalizer'; did you mean 'normaliser'"),
        (
            "kinds: [{name: a, strength: weak, normaliser: soundex}]",
            "kinds.a.normaliser: there is no 'soundex'; there are",
        ),
        ("kinds: [{strength: weak}]", "name"),
        ("kinds: [{name: a, strength: weak}, {name: a, strength: none}]", "kinds.a: a kind is named twice; leave one"),
        ("kinds: [{name: A, strength: weak}]", "kinds.A.name: a kind is named by a lower-case letter"),
        ("kinds: [{name: a, strength: week}]", r"kinds.a.strength: there is no 'week'; did you mean 'weak'\?"),
        (
            "kinds: [{name: a, strength: weak, case: fould}]",
            r"kinds.a.case: there is no 'fould'; did you mean 'fold'\?",
        ),
        ("kinds: [{name: a, strength: weak, extension: 7}]", "kinds.*extension"),
        ("kinds: [{name: a, strength: weak, look_alikes: no}]", "kinds.*look_alikes"),
        ("kinds: [{name: a, strength: none, unique: true}]", "kinds.a.unique: only identifying kinds join"),
        ("kinds: [{name: a, strength: medium, unique: true}]", "kinds.a.unique: only identifying kinds join"),
        ("kinds: [{name: a, strength: weak, hidden: true}]", "kinds.a.hidden: a weak kind that is never shown"),
        ("kinds: [{name: a, strength: weak, group: true}]", "kinds.a.group: a group is shown and links nobody"),
        ("kinds: [{name: a, strength: none, namespaced: true}]", "kinds.a.namespaced: .* leave it out"),
        (
            "kinds: [{name: a, strength: weak, shared_from: -1}]",
            "kinds.a.shared_from: -1 is less than 0; give the number",
        ),
        ("kinds: [{name: a, strength: none, shared_from: 3}]", "kinds.a.shared_from: .* leave it out"),
        ("kinds: [{name: a, strength: weak, claimed_from: 3}]", "kinds.a.claimed_from: it is for identifying kinds"),
        (
            "kinds: [{name: a, strength: weak, plus: all}]",
            "kinds.a.plus: it is for normaliser email, and this one is trim",
        ),
        ("kinds: [{name: a, strength: weak, dots: [x.example]}]", "kinds.a.dots: it is for normaliser email"),
        ("kinds: [{name: a, strength: weak, normaliser: email, dots: some}]", "kinds.*dots"),
        (
            "kinds: [{name: a, strength: weak, normaliser: email, dots: ['a b']}]",
            "kinds.a.dots: 'a b' is no domain; write",
        ),
        ("kinds: [{name: a, strength: weak, extension: keep}]", "kinds.a.extension: it is for normaliser phone"),
        (
            "kinds: [{name: a, strength: weak, normaliser: uuid, case: fold}]",
            "kinds.a.case: it is for normaliser text or",
        ),
        ("kinds: [{name: a, strength: weak, normaliser: phone, look_alikes: fold}]", "kinds.a.look_alikes: it is for"),
        ("kinds: [{name: a, strength: none}, {name: b, strength: none}]", "kinds: no kind is left by which events"),
        ("kinds: [{name: a, strength: weak, enabled: false}]", "kinds: no kind is left by which events"),
        ("kinds: []", "kinds: no kind is left by which events"),
        ("cluster_limit: 1", "cluster_limit: Expected `int` >= 2"),
        ("drop: ['*']", "drop: `.` names everything; name the values"),
        ("unlinkable: ['*']", "unlinkable: `.` names everything"),
        ("unlinkable: ['']", "unlinkable: '' names no value; write `kind:value`"),
        ("unlinkable: ['email:']", "unlinkable: 'email:' names no value; write `kind:value`"),
        (
            "unlinkable: ['email:info']",
            "unlinkable: 'email:info' can be no email, so it would never match; write it as",
        ),
        ("unlinkable: ['phone:020 123']", "unlinkable: 'phone:020 123' can be no phone"),
        ("phone_region: nl", "phone_region: 'nl' is no country; write its two capital letters"),
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
