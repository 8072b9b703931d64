"""Compares what two states of a context say: the lines of `context.changes`.

Compared are traits, permissions, refs, groups, identifiers and the identity's level. Counters and recent
interactions change with every event and are no change of the customer.
"""

from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

import msgspec

from schemas.document import FieldChange
from schemas.identifiers import DEFAULT_NAMESPACE
from state.context.document import FORMER, grade_label
from state.fragment import WITHDRAWN
from state.join import Joined

_JSON = msgspec.json.Encoder(order="sorted")
_FIELD = attrgetter("field")


class _Statement(NamedTuple):
    """What one field says, None where it is withdrawn, and the event that said so."""

    value: Any
    source: str | None = None
    event: str | None = None


_SILENCE = _Statement(None)
# What a field's value is made of: names of a pointer to statements.
_Statements: TypeAlias = dict[tuple[str, ...], _Statement]


def compare(before: Joined | None, after: Joined) -> list[FieldChange]:
    """The fields whose value differs, in the order of their pointers; without a before, all there are.

    Most fields of two states are the same, so pointers and JSON are made for those alone that differ.
    """
    old: _Statements = {} if before is None else _statements(before)
    new = _statements(after)
    changes = []
    for names, now in new.items():
        was = old.pop(names, _SILENCE)
        if was.value != now.value:
            changes.append(FieldChange(_pointer(names), _raw(was.value), _raw(now.value), now.source, now.event))
    changes += [FieldChange(_pointer(names), _raw(was.value)) for names, was in old.items() if was.value is not None]
    changes.sort(key=_FIELD)
    return changes


def _raw(value: Any) -> msgspec.Raw | msgspec.UnsetType:
    if value is None:
        return msgspec.UNSET
    return msgspec.Raw(value if isinstance(value, bytes) else _JSON.encode(value))


def _statements(joined: Joined) -> _Statements:
    """All fields; a value is the JSON of a register, or what JSON is made of."""
    statements: _Statements = {("identity", "level"): _Statement(joined.level)}
    for part in joined.identifiers:
        kind, value, namespace, _ = part.identifier
        names = (kind, value) if namespace == DEFAULT_NAMESPACE else (kind, namespace, value)
        shown = {"grade": grade_label(part.grade), "role": part.role}
        if part.former:
            shown["status"] = FORMER
        statements["identifiers", *names] = _Statement(shown)
    for name, fact in joined.traits.items():
        register = fact.register
        said = None if register.value == WITHDRAWN else register.value
        statements["traits", name] = _Statement(said, register.source, register.event)
    for (channel, purpose), fact in joined.permissions.items():
        register = fact.register
        statements["permissions", channel, purpose] = _Statement(register.value, register.source, register.event)
    for mention in joined.refs:
        ref = mention.register
        shown = {"status": ref.status, "type": ref.type} if ref.status else {"type": ref.type}
        statements["refs", mention.kind, mention.id] = _Statement(shown, ref.source, ref.event)
    for kind, group in joined.groups.items():
        _, source, event = max(group.values.values())
        statements["groups", kind] = _Statement(sorted(group.values), source, event)
    return statements


def _pointer(names: tuple[str, ...]) -> str:
    path = "/" + "/".join(names)
    # Hardly any name has to be escaped.
    if path.count("/") == len(names) and "~" not in path:
        return path
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)
