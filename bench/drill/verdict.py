"""What a drill found, as a table for people and one JSON object for programs."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

#: What is shown of what is wrong.
EXAMPLES_SHOWN_MAX: Final = 40


@dataclass(slots=True, kw_only=True)
class Findings:
    """What is wrong with what came out; all 0 when everything is exact.

    Attributes:
        lost: Events that are in no interaction or context, and things that should be dead letters and are not.
        doubled: Events that stand or count more than once.
        wrong_fields: Differences between contexts and the oracle, on the topic and at the lookup.
        repeated_outputs: Records that readers of committed records see again, or that go back.
        unexpected_dead_letters: Dead letters that nothing explains, and second ones for the same record.
        examples: Some of all that.
    """

    lost: int = 0
    doubled: int = 0
    wrong_fields: int = 0
    repeated_outputs: int = 0
    unexpected_dead_letters: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """The numbers by their names."""
        return {
            "lost": self.lost,
            "doubled": self.doubled,
            "wrong_fields": self.wrong_fields,
            "repeated_outputs": self.repeated_outputs,
            "unexpected_dead_letters": self.unexpected_dead_letters,
        }


@dataclass(slots=True, kw_only=True)
class Verdict:
    """The end of a drill.

    Attributes:
        seed: With it the same schedule and load come again.
        seconds: How long load and faults went on.
        events: Distinct events that were sent, canaries included.
        orders: Orders of operators about who is who, and undos.
        sends: Things sent: copies, repetitions and bad ones included.
        retries: Things sent again because nothing said that they were taken.
        kills: Processes that ended by SIGKILL.
        faults: Faults that happened, by kind.
        recoveries: Seconds from each fault until events came through again in every partition.
        findings: What is wrong; None where it did not come to a judgement.
        reasons: What else is wrong: it did not catch up, a process gave up, somebody ended it.
    """

    seed: int
    seconds: float
    events: int
    orders: int
    sends: int
    retries: int
    kills: int
    faults: Mapping[str, int]
    recoveries: Sequence[float]
    findings: Findings | None = None
    reasons: list[str] = field(default_factory=list)
    #: What was drilled gave up before the end.
    failed: bool = False

    @property
    def exact(self) -> bool:
        """Whether it was judged and nothing is wrong."""
        return self.findings is not None and not any(self.findings.counts.values()) and not self.reasons

    @property
    def name(self) -> str:
        """exact, wrong, or unfinished where somebody ended it before the judgement."""
        if self.exact:
            return "exact"
        return "unfinished" if self.findings is None and not self.failed else "wrong"

    def to_json(self) -> dict[str, Any]:
        """For programs; counts are null where it did not come to a judgement."""
        unknown = dict.fromkeys(Findings().counts)
        return {
            "verdict": self.name,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "events": self.events,
            "orders": self.orders,
            "sends": self.sends,
            "retries": self.retries,
            "kills": self.kills,
            "faults": dict(sorted(self.faults.items())),
            **(unknown if self.findings is None else self.findings.counts),
            "recovery_seconds_p50": percentile(self.recoveries, 50),
            "recovery_seconds_p99": percentile(self.recoveries, 99),
            "recovery_seconds_max": percentile(self.recoveries, 100),
            "reasons": self.reasons,
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        told = self.to_json()
        faults = ", ".join(f"{number} {kind}" for kind, number in told["faults"].items()) or "none"
        rows = [
            ("seed", f"{self.seed}"),
            ("seconds under faults", f"{self.seconds:,.0f}"),
            ("faults", faults),
            ("kill -9", f"{self.kills:,}"),
            ("orders", f"{self.orders:,}"),
            ("events", f"{self.events:,} distinct, {self.sends:,} sent, {self.retries:,} of them again"),
            ("recovery", _recovery(told)),
            *((name.replace("_", " "), "not judged" if told[name] is None else f"{told[name]:,}") for name in _COUNTS),
        ]
        width = max(len(name) for name, _ in rows)
        yield from (f"{name:{width}}  {value}" for name, value in rows)
        examples = [] if self.findings is None else self.findings.examples
        for example in examples[:EXAMPLES_SHOWN_MAX]:
            yield f"  {example}"
        if len(examples) > EXAMPLES_SHOWN_MAX:
            yield f"  and {len(examples) - EXAMPLES_SHOWN_MAX} more"
        yield from self.reasons
        yield f"verdict: {told['verdict']}"


_COUNTS: Final = tuple(Findings().counts)


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that so many percent of all don't exceed; None without any."""
    if not values:
        return None
    place = max(1, math.ceil(len(values) * percent / 100))
    return round(sorted(values)[place - 1], 2)


def _recovery(told: Mapping[str, Any]) -> str:
    if told["recovery_seconds_max"] is None:
        return "no fault"
    named = (f"{name} {told[f'recovery_seconds_{name}']:.1f} s" for name in ("p50", "p99", "max"))
    return ", ".join(named)
