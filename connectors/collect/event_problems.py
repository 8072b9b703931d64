"""What a sender is told when its events are not taken."""

from typing import Final

from connectors.collect.event_gate import BatchRefused, BatchTooLong
from connectors.web.problems import FIELD_PROBLEMS_MAX, FieldProblem, ProblemError, ProblemKind, retry_after
from schemas.errors import DeadCode, EventError

#: Codes that only later stages give: what they judge is not known here.
_LATER_CODES: Final = frozenset(
    {
        DeadCode.CHANNEL_MISMATCH,
        DeadCode.CONTENT_CONFLICT,
        DeadCode.HORIZON_PASSED,
        DeadCode.MAPPING_FAILED,
        DeadCode.UNREADABLE_MESSAGE,
    }
)
#: One kind per code, the same codes as in `dead`.
EVENT_KINDS: Final = {
    code: ProblemKind(
        code.value,
        400,
        code.value.replace("_", " ").capitalize(),
        "The event is refused and nothing is written; `errors` says where and why. Correct it at its producer.",
    )
    for code in DeadCode
    if code not in _LATER_CODES
}
BATCH_REFUSED: Final = ProblemKind(
    "batch_refused",
    400,
    "Batch refused",
    "A batch is taken whole or not at all. `errors` lists refused events by their place; correct or remove them.",
)
BATCH_TOO_LONG: Final = ProblemKind(
    "batch_too_long", 413, "Batch too long", "The batch has too many events. Send it in parts; nothing is written."
)
NOT_ACKNOWLEDGED: Final = ProblemKind(
    "not_acknowledged",
    503,
    "Not acknowledged",
    "The broker did not acknowledge every event, so nothing is promised: all, some or none may be written. Send the "
    "same request again after Retry-After; events that are written twice are counted once.",
)
NOT_ACKNOWLEDGED_RETRY_SECONDS: Final = 5
OVERLOADED_RETRY_SECONDS: Final = 2


def event_problem(error: EventError) -> ProblemError:
    """The answer to a refused event, or to a body that is none."""
    return ProblemError(EVENT_KINDS[error.code], error.message, errors=[_field(error)])


def batch_refused(refused: BatchRefused) -> ProblemError:
    """The answer to a batch with refused events; the first of them are listed."""
    shown = refused.errors[:FIELD_PROBLEMS_MAX]
    more = "" if len(shown) == len(refused.errors) else f"; the first {len(shown)} are listed"
    detail = f"{len(refused.errors)} of {refused.size} events are refused, so none is taken{more}."
    return ProblemError(BATCH_REFUSED, detail, errors=map(_field, shown))


def batch_too_long(refused: BatchTooLong) -> ProblemError:
    """The answer to a batch with too many events."""
    return ProblemError(BATCH_TOO_LONG, f"{refused}.")


def not_acknowledged() -> ProblemError:
    """The answer when the broker did not acknowledge everything; the reason is in the log."""
    return ProblemError(NOT_ACKNOWLEDGED, NOT_ACKNOWLEDGED.meaning, headers=retry_after(NOT_ACKNOWLEDGED_RETRY_SECONDS))


def _field(error: EventError) -> FieldProblem:
    return FieldProblem(error.pointer, error.message, error.code.value)
