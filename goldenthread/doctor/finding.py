"""What a check says."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class Status(StrEnum):
    """How it is, the worst last."""

    OK = "ok"
    #: Not looked at, because what it hangs on is not there; that one has a finding of its own.
    SKIPPED = "skipped"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True):
    """One finding.

    Attributes:
        check: The check's name; a check may have several findings.
        status: How it is.
        found: What was found, in a sentence without personal data and secrets.
        action: What to do about it; empty where nothing is to be done.
    """

    check: str
    status: Status
    found: str
    action: str = ""


def worst(findings: Iterable[Finding]) -> Status:
    """The worst status of all."""
    order = list(Status)
    return max((finding.status for finding in findings), key=order.index, default=Status.OK)
