"""What `identity rehearse` and `apply` show: counts, the largest customers, and chains of evidence in plain words."""

from collections.abc import Callable
from typing import Any

import msgspec

from goldenthread.commands.output import OUT
from goldenthread.commands.tables import shown, table
from schemas.identifiers import Identifier
from schemas.identity_policy import Grade
from schemas.orders import Authority
from schemas.times import format_time
from state.identity.clusters import LargeCustomer
from state.identity.explaining.results import Explanation, Step
from state.identity.rehearsal import Rehearsed, Sample

Name = Callable[[str], Identifier]


class RehearsalReport:
    """A rehearsal, with plain identifiers, as JSON and for people.

    Args:
        rehearsed: What came of it.
        name: Tells the identifier of a fragment.
    """

    def __init__(self, rehearsed: Rehearsed, name: Name) -> None:
        self._rehearsed = rehearsed
        self._name = name

    def json(self) -> dict[str, Any]:
        """All of it."""
        done = self._rehearsed
        return {
            "differences": done.differences,
            "identifiers": done.identifiers,
            **msgspec.to_builtins(done.counts),
            "largest_before": [self._customer(each) for each in done.largest_before],
            "largest_after": [self._customer(each) for each in done.largest_after],
            "gained": [self._sample(each) for each in done.gained],
            "lost": [self._sample(each) for each in done.lost],
        }

    def show(self) -> None:
        """All of it, for people."""
        done, counts = self._rehearsed, self._rehearsed.counts
        for difference in done.differences:
            OUT.print(shown(f"- {difference}"))
        if not done.differences:
            OUT.print("This policy decides nothing otherwise than the one in force.")
        rows = [
            ("identifiers", done.identifiers),
            ("of them placed otherwise", counts.moved),
            ("customers touched", counts.customers_touched),
            ("merges gained", counts.merges_gained),
            ("merges lost", counts.merges_lost),
            ("identifiers shared from then on", counts.shared_gained),
            ("identifiers shared no more", counts.shared_lost),
        ]
        OUT.print(table(("", "count"), rows))
        for word, largest in (("before", done.largest_before), ("after", done.largest_after)):
            if largest:
                OUT.print(f"The largest customers {word}:")
                OUT.print(table(("customer", "identifiers", "joined", "kinds"), map(_customer_row, largest)))
        for title, samples in (("gained", done.gained), ("lost", done.lost)):
            for sample in samples:
                self._show_sample(title, sample)

    def _show_sample(self, title: str, sample: Sample) -> None:
        OUT.print(shown(f"{title}: {self._text(sample.fragment)} with {self._text(sample.home)}"))
        for word, explanation in (("before", sample.before), ("after", sample.after)):
            OUT.print(shown(f"  {word}: {_verdict(explanation)}"))
            for step in explanation.steps:
                OUT.print(shown(f"    {self._step_text(step)}"))

    def _step_text(self, step: Step) -> str:
        link = step.link
        known = Grade(link.grade).label if link.authority == Authority.EVIDENCE else "required"
        text = f"{self._text(step.one)} and {self._text(step.other)}: {known}, {link.source} {link.id}"
        text += f", {format_time(link.time)}"
        return text if step.obstacle is None else f"{text}; does not hold: {step.obstacle.reason}"

    def _sample(self, sample: Sample) -> dict[str, Any]:
        return {
            "identifier": self._identifier(sample.fragment),
            "home": self._identifier(sample.home),
            "before": self._explanation(sample.before),
            "after": self._explanation(sample.after),
        }

    def _explanation(self, explanation: Explanation) -> dict[str, Any]:
        return {
            "verdict": explanation.verdict,
            "steps": [
                {
                    "one": self._identifier(step.one),
                    "other": self._identifier(step.other),
                    "grade": Grade(step.link.grade).label,
                    "authority": Authority(step.link.authority).name.lower(),
                    "source": step.link.source,
                    "id": step.link.id,
                    "time": format_time(step.link.time),
                    "obstacle": None if step.obstacle is None else step.obstacle.reason,
                }
                for step in explanation.steps
            ],
            "shared": [{"identifier": self._identifier(each.fragment), "by": each.by} for each in explanation.sharings],
            "cut": explanation.cut,
        }

    def _identifier(self, fragment: str) -> dict[str, str]:
        found = self._name(fragment)
        return {"fragment": fragment, "kind": found.kind, "value": found.value, "namespace": found.namespace}

    def _text(self, fragment: str) -> str:
        found = self._name(fragment)
        return f"{found.kind} {found.value}"

    @staticmethod
    def _customer(customer: LargeCustomer) -> dict[str, Any]:
        return customer._asdict()


def _customer_row(customer: LargeCustomer) -> tuple[str, int, int, str]:
    kinds = ", ".join(f"{kind} {count}" for kind, count in customer.kinds)
    return customer.customer, customer.members, customer.joined, kinds


def _verdict(explanation: Explanation) -> str:
    why = ", ".join(each.by for each in explanation.sharings)
    words = {"one": "one customer", "apart": "two customers", "shared": f"shared by several ({why})"}
    return words[explanation.verdict]
