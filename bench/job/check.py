"""Whether an engine did the job: its outputs against the reference, and the first differences in words."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from bench.job.outputs import Outputs
from bench.job.reference import Expectation, canonical

DIFFERENCES_SHOWN_MAX: Final = 10
# Of a value that differs so many characters are shown.
_VALUE_SHOWN_MAX: Final = 200
_DOCUMENT_FIELDS: Final = ("customer", "traits", "channels", "types", "days", "last", "interactions")
_TRAIT_FIELDS: Final = ("value", "time", "source", "event")
_ABSENT: Final = object()


class Verdict(msgspec.Struct, frozen=True):
    """What the check found."""

    events: int
    customers: int
    #: Events whose interaction is there more than once: a difference where exactly once was promised.
    doubled: int
    #: How many differences there are.
    differences: int
    #: The first of them, in words.
    shown: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether all is as it has to be."""
        return self.differences == 0


def judge(expectation: Expectation, outputs: Outputs, *, exactly_once: bool, is_pipeline: bool = False) -> Verdict:
    """Compare what was written with what had to be.

    Args:
        expectation: The reference's answer.
        outputs: All that was read.
        exactly_once: Whether the engine promises that no interaction comes twice.
        is_pipeline: Identity may learn whose an event is after it was written: then an interaction's customer is not
            compared, and documents say more (`via`, which is left out).
    """
    differences = [
        *(f"record {reason}" for reason in outputs.unreadable),
        *_of_interactions(expectation, outputs, exactly_once=exactly_once, compare_customer=not is_pipeline),
        *_of_documents(expectation, outputs),
    ]
    return Verdict(
        len(expectation.interactions),
        len(expectation.documents),
        len(outputs.doubled),
        len(differences),
        tuple(differences[:DIFFERENCES_SHOWN_MAX]),
    )


def _of_interactions(
    expectation: Expectation, outputs: Outputs, *, exactly_once: bool, compare_customer: bool
) -> Iterator[str]:
    found = outputs.interactions
    for name, (digest, customer) in expectation.interactions.items():
        said = found.get(name)
        if said is None:
            yield f"interaction {_called(name)} of customer {customer} is missing"
        elif compare_customer and said[1] != customer:
            yield f"interaction {_called(name)} is customer {said[1]}'s, it has to be {customer}'s"
        elif said[0] != digest:
            yield f"interaction {_called(name)} of customer {customer} says something else than its event"
    for name in found.keys() - expectation.interactions.keys():
        yield f"interaction {_called(name)} is of no event"
    if exactly_once:
        for name in outputs.doubled:
            yield f"interaction {_called(name)} is there more than once"


def _of_documents(expectation: Expectation, outputs: Outputs) -> Iterator[str]:
    for customer, expected in expectation.documents.items():
        found = outputs.documents.get(customer)
        if found is None:
            yield f"customer {customer} has no document"
            continue
        try:
            shown = comparable(msgspec.json.decode(found))
        except (msgspec.MsgspecError, AttributeError, KeyError, TypeError) as error:
            yield f"customer {customer}: the document can't be read: {error!r}"
            continue
        if canonical(shown) != expected:
            yield from _fields(customer, msgspec.json.decode(expected), shown)
    for customer, value in outputs.documents.items():
        if value is not None and customer not in expectation.documents:
            yield f"customer {customer} has a document and no events"


def comparable(document: dict[str, Any]) -> dict[str, Any]:
    """The part of a document that the job speaks of; a field that is null is as good as absent, but in `last`."""
    shown = {name: document[name] for name in _DOCUMENT_FIELDS}
    shown["traits"] = {
        name: {field: trait[field] for field in _TRAIT_FIELDS} for name, trait in document["traits"].items()
    }
    shown["last"] = {
        way: None if (touch := document["last"].get(way)) is None else _without(touch, "via") for way in ("in", "out")
    }
    recent = [_without(each, "via") for each in document["interactions"]["recent"]]
    shown["interactions"] = document["interactions"] | {"recent": recent}
    return shown


def _without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name and value is not None}


def _fields(customer: str, expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    """Every field that differs, by its path."""
    for path, wanted, got in _differing((), expected, found):
        place = ".".join(map(str, path))
        yield f"customer {customer}: {place} is {_shown(got)}, it has to be {_shown(wanted)}"


def _differing(path: tuple[Any, ...], expected: Any, found: Any) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    if isinstance(expected, dict) and isinstance(found, dict):
        names: Iterable[str] = sorted(expected.keys() | found.keys())
        for name in names:
            yield from _differing((*path, name), expected.get(name, _ABSENT), found.get(name, _ABSENT))
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for place, (wanted, got) in enumerate(zip(expected, found, strict=True)):
            yield from _differing((*path, place), wanted, got)
    elif expected is _ABSENT or found is _ABSENT or canonical(expected) != canonical(found):
        yield path, expected, found


def _shown(value: Any) -> str:
    return "absent" if value is _ABSENT else canonical(value).decode()[:_VALUE_SHOWN_MAX]


def _called(name: tuple[str, str]) -> str:
    return f"{name[0]}/{name[1]}"
