"""The two parts of an identity policy: what routes events, and what decides who is who.

The routing part (order of kinds, normalisers and all that values are made comparable by) gives every fragment its id;
another one means other fragments, so it stays what it was for the life of an installation. The partition part (limits,
uniqueness, strengths of kinds that link, `unlinkable`) only decides which fragments are one customer, so it may change
at any time: what was decided before is decided again.

A field that this module does not know of routes: that is the safe reading.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from schemas.errors import PolicyRefused, StateError
from schemas.identity_policy import Kind, Policy, Strength
from schemas.strict_json import UNREADABLE

_PARTITION_FIELDS: Final = frozenset({"unlinkable", "cluster_limit"})
_PARTITION_FIELDS_OF_A_KIND: Final = frozenset({"unique", "shared_from", "claimed_from"})
# No kind may be called so, so its place is that of every unknown kind.
_NO_KIND: Final = "?"

_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER = msgspec.json.Decoder(Policy)

#: A value of a policy by where it stands, such as `kinds.email.shared_from`.
_Values = dict[str, Any]


def encode_policy(policy: Policy) -> bytes:
    """The policy as JSON, as it stands in the log and in its row; equal policies give equal bytes."""
    return _ENCODER.encode(policy)


def decode_policy(encoded: bytes) -> Policy:
    """The policy in JSON.

    Raises:
        StateError: a newer version wrote it, or it is damaged.
    """
    try:
        return _DECODER.decode(encoded)
    except UNREADABLE as error:
        raise StateError(f"an identity policy can't be read ({error}): upgrade to the version that wrote it") from error


def routing_differences(one: Policy, other: Policy) -> list[str]:
    """What of the routing part differs, each as `kinds.email.normaliser: email, not text`; empty where all agrees."""
    return _differences(dict(_routing(one)), dict(_routing(other)))


def partition_differences(one: Policy, other: Policy) -> list[str]:
    """What of the partition part differs, as `routing_differences`."""
    return _differences(dict(_partition(one)), dict(_partition(other)))


def shown_part(policy: Policy) -> tuple[object, ...]:
    """What documents about customers depend on, and intake: equal where neither has to do anything anew."""
    return tuple(sorted(policy.unlinkable)), tuple((kind.name, kind.strength) for kind in policy.kinds)


def require_same_routing(given: Policy, in_force: Policy) -> None:
    """Refuse to start with a policy under which events would go to other fragments.

    Raises:
        PolicyRefused: saying what differs.
    """
    if differences := routing_differences(given, in_force):
        raise PolicyRefused(
            f"the identity file would route events otherwise than the policy in force: {'; '.join(differences)}. Put "
            "that back (GOLDENTHREAD_IDENTITY_FILE), or migrate to another topic prefix as docs/policy.md says"
        )


def _routing(policy: Policy) -> Iterator[tuple[str, Any]]:
    yield "order of kinds", [kind.name for kind in policy.kinds]
    yield "place of kinds that are not named", policy.position(_NO_KIND)
    for name, value in msgspec.structs.asdict(policy).items():
        if name != "kinds" and name not in _PARTITION_FIELDS:
            yield name, _plain(value)
    for kind in policy.kinds:
        yield f"kinds.{kind.name}.strength is none", kind.strength is Strength.NONE
        for name, value in _fields(kind):
            if name not in _PARTITION_FIELDS_OF_A_KIND:
                yield f"kinds.{kind.name}.{name}", _plain(value)


def _partition(policy: Policy) -> Iterator[tuple[str, Any]]:
    yield "cluster_limit", policy.cluster_limit
    yield "unlinkable", sorted(policy.unlinkable)
    for kind in policy.kinds:
        yield f"kinds.{kind.name}.strength", kind.strength.name.lower()
        for name, value in _fields(kind):
            if name in _PARTITION_FIELDS_OF_A_KIND:
                yield f"kinds.{kind.name}.{name}", _plain(value)


def _fields(kind: Kind) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in msgspec.structs.asdict(kind).items() if name not in {"name", "strength"})


def _plain(value: Any) -> Any:
    """Lists say the same in any order."""
    return sorted(value) if isinstance(value, tuple) else value


def _differences(one: _Values, other: _Values) -> list[str]:
    """Of what only one has, the order of kinds tells."""
    return [
        f"{where}: {_shown(one[where], other[where])}" for where in one if where in other and one[where] != other[where]
    ]


def _shown(one: Any, other: Any) -> str:
    if isinstance(one, list) and isinstance(other, list) and set(one) != set(other):
        more, less = [entry for entry in one if entry not in other], [entry for entry in other if entry not in one]
        return "; ".join(
            f"{word} {', '.join(entries)}" for word, entries in (("with", more), ("without", less)) if entries
        )
    return f"{_word(one)}, not {_word(other)}"


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "empty"
    return (
        {True: "yes", False: "no", "": "empty"}.get(value, str(value)) if isinstance(value, bool | str) else str(value)
    )
