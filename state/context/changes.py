"""Compares what two states of a context say: the lines of `context.changes`.

Compared are traits, permissions, refs, groups, identifiers and the identity's level. Counters and recent
interactions change with every event and are no change of the customer.
"""

from typing import NamedTuple

import msgspec

from schemas.document import FieldChange
from schemas.identifiers import DEFAULT_NAMESPACE
from state.context.document import FORMER, grade_label
from state.join import Joined, is_withdrawn

_JSON = msgspec.json.Encoder(order="sorted")


class _Statement(NamedTuple):
    """One field's value as JSON, None where it is withdrawn, and the event that said so."""

    value: bytes | None
    source: str | None = None
    event: str | None = None


_SILENCE = _Statement(None)


def compare(before: Joined | None, after: Joined) -> list[FieldChange]:
    """The fields whose value differs, in the order of their pointers; without a before, all there are."""
    old = {} if before is None else _statements(before)
    new = _statements(after)
    changes = []
    for field in sorted(old.keys() | new.keys()):
        was, now = old.get(field, _SILENCE), new.get(field, _SILENCE)
        if was.value != now.value:
            changes.append(FieldChange(field, _raw(was.value), _raw(now.value), now.source, now.event))
    return changes


def _raw(value: bytes | None) -> msgspec.Raw | msgspec.UnsetType:
    return msgspec.UNSET if value is None else msgspec.Raw(value)


def _statements(joined: Joined) -> dict[str, _Statement]:
    statements = {"/identity/level": _Statement(_JSON.encode(joined.level))}
    for part in joined.identifiers:
        kind, value, namespace, _ = part.identifier
        names = (kind, value) if namespace == DEFAULT_NAMESPACE else (kind, namespace, value)
        shown = {"grade": grade_label(part.grade), "role": part.role}
        if part.former:
            shown["status"] = FORMER
        statements[_pointer("identifiers", *names)] = _Statement(_JSON.encode(shown))
    for name, fact in joined.traits.items():
        register = fact.register
        said = None if is_withdrawn(fact) else register.value
        statements[_pointer("traits", name)] = _Statement(said, register.source, register.event)
    for (channel, purpose), fact in joined.permissions.items():
        register = fact.register
        statements[_pointer("permissions", channel, purpose)] = _Statement(
            register.value, register.source, register.event
        )
    for mention in joined.refs:
        ref = mention.register
        shown = {"status": ref.status, "type": ref.type} if ref.status else {"type": ref.type}
        statements[_pointer("refs", mention.kind, mention.id)] = _Statement(_JSON.encode(shown), ref.source, ref.event)
    for kind, group in joined.groups.items():
        _, source, event = max(group.values.values())
        statements[_pointer("groups", kind)] = _Statement(_JSON.encode(sorted(group.values)), source, event)
    return statements


def _pointer(*names: str) -> str:
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)
