"""Rows of evidence as links: what events showed, whatever orders and policy say of it."""

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from schemas.rows import EvidenceRow, RowDecoder, evidence_prefix, split_evidence_key
from state.engine import Rows
from state.identity.evidence import Link

_EVIDENCE: Final = RowDecoder(EvidenceRow)


def shown_link(neighbour: str, grade: int, source: str, row: EvidenceRow) -> Link:
    """What one row of evidence says of the pair."""
    return Link(neighbour, row.neighbour_kind, grade, row.first_time, source, row.first_id)


def shown_links(rows: Rows, fragment: str) -> Iterator[Link]:
    """All that sources showed of an identifier's pairs, the best grade first, then neighbours in order."""
    for key, value in rows.scan(evidence_prefix(fragment)):
        _, neighbour, grade, source = split_evidence_key(key)
        yield shown_link(neighbour, grade, source, _EVIDENCE.decode(value))


def best_shown_links(rows: Rows, fragment: str) -> Iterator[Link]:
    """The best of each pair, the best known first."""
    passed: set[str] = set()
    # In the order of rows what several sources showed of a neighbour in one grade lies together.
    for _, alike in groupby(shown_links(rows, fragment), key=lambda link: (link.grade, link.neighbour)):
        best = min(alike, key=lambda link: link.precedence)
        if best.neighbour not in passed:
            passed.add(best.neighbour)
            yield best
