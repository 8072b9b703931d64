"""Which part of the policy a change is of, and that docs/policy.md says the same."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.errors import PolicyRefused, StateError
from schemas.identity_policy import DEFAULT_POLICY, Kind, Normaliser, Policy, Strength
from schemas.policy_parts import (
    decode_policy,
    encode_policy,
    partition_differences,
    require_same_routing,
    routing_differences,
)

DOCS = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()


def _with(kind: str, **changed: Any) -> Policy:
    kinds = [msgspec.structs.replace(each, **changed) if each.name == kind else each for each in DEFAULT_POLICY.kinds]
    return msgspec.structs.replace(DEFAULT_POLICY, kinds=tuple(kinds))


PARTITION = {
    "unlinkable": msgspec.structs.replace(DEFAULT_POLICY, unlinkable=("phone:1",)),
    "cluster_limit": msgspec.structs.replace(DEFAULT_POLICY, cluster_limit=7),
    "unique": _with("email", unique=True),
    "shared_from": _with("email", shared_from=3),
    "claimed_from": _with("email", claimed_from=3),
    "strength": _with("email", strength=Strength.MEDIUM),
}
ROUTING = {
    "drop": msgspec.structs.replace(DEFAULT_POLICY, drop=()),
    "phone_region": msgspec.structs.replace(DEFAULT_POLICY, phone_region="NL"),
    "place": msgspec.structs.replace(DEFAULT_POLICY, kinds=(*DEFAULT_POLICY.kinds[1::-1], *DEFAULT_POLICY.kinds[2:])),
    "normaliser": _with("loyalty", normaliser=Normaliser.TEXT),
    "namespaced": _with("crm", namespaced=False),
    "enabled": _with("national_id", enabled=True),
    "hidden": _with("national_id", hidden=False),
    "group": _with("session", group=True),
    "name": msgspec.structs.replace(DEFAULT_POLICY, kinds=(*DEFAULT_POLICY.kinds, Kind("badge", Strength.NONE))),
    "strength none": _with("anonymous", strength=Strength.NONE),
}


@pytest.mark.parametrize("policy", PARTITION.values(), ids=PARTITION)
def test_what_may_change_at_any_time_changes_no_routing(policy: Policy) -> None:
    assert partition_differences(policy, DEFAULT_POLICY)
    assert not routing_differences(policy, DEFAULT_POLICY)
    require_same_routing(policy, DEFAULT_POLICY)


@pytest.mark.parametrize("policy", ROUTING.values(), ids=ROUTING)
def test_what_would_route_otherwise_is_refused_and_named(policy: Policy) -> None:
    [difference, *_] = routing_differences(policy, DEFAULT_POLICY)
    with pytest.raises(PolicyRefused) as refused:
        require_same_routing(policy, DEFAULT_POLICY)
    assert difference in str(refused.value)
    assert "docs/policy.md" in str(refused.value)


def test_the_place_of_unknown_kinds_is_routing() -> None:
    """Without a kind `other` it is that of the last medium kind, which a change of strengths may make another."""
    kinds = tuple(kind for kind in DEFAULT_POLICY.kinds if kind.name != "other")
    one = msgspec.structs.replace(DEFAULT_POLICY, kinds=kinds)
    other = msgspec.structs.replace(
        one,
        kinds=tuple(msgspec.structs.replace(k, strength=Strength.WEAK) if k.name == "phone" else k for k in kinds),
    )
    assert one.position("tablet") != other.position("tablet")
    assert routing_differences(other, one)


def test_lists_in_another_order_are_the_same() -> None:
    one = msgspec.structs.replace(DEFAULT_POLICY, unlinkable=("a", "b"), drop=("x", "y"))
    other = msgspec.structs.replace(DEFAULT_POLICY, unlinkable=("b", "a"), drop=("y", "x"))
    assert not routing_differences(one, other)
    assert not partition_differences(one, other)


@pytest.mark.parametrize("policy", [DEFAULT_POLICY, *PARTITION.values(), *ROUTING.values()])
def test_a_policy_comes_back_from_the_log_as_it_was(policy: Policy) -> None:
    assert decode_policy(encode_policy(policy)) == policy


def test_a_policy_of_a_newer_version_is_refused_in_words() -> None:
    newer = encode_policy(DEFAULT_POLICY).replace(b'"phone_region"', b'"planet":"Mars","phone_region"')
    with pytest.raises(StateError, match="upgrade"):
        decode_policy(newer)


def test_the_docs_say_of_each_key_which_part_it_is_of() -> None:
    rows = {
        cells[1].strip().strip("`"): cells[2].strip()
        for cells in (line.split("|") for line in DOCS.splitlines() if line.startswith("| "))
        if len(cells) > 3
    }
    for field in (*Policy.__struct_fields__, *Kind.__struct_fields__):
        assert field in rows, field
    assert {rows[name] for name in PARTITION} == {"partition"}
    others = {*Policy.__struct_fields__, *Kind.__struct_fields__} - set(PARTITION) - {"kinds"}
    assert {rows[name] for name in others} == {"routing"}
