"""A kiosk's cookie in the middle of everything: answers come in bounded time, and say what they left out."""

import time
from pathlib import Path
from typing import Final

import pytest

from connectors.serve.explaining.explanations import Explanations
from connectors.serve.explaining.partition import ROWS_MAX, PartitionRows
from connectors.serve.layout import link_key
from schemas.identity_policy import DEFAULT_POLICY, Grade
from schemas.roles import HOME, SHARED
from schemas.rows import EvidenceRow, LinkRow, encode_row, evidence_key
from state.engine import MemoryRows
from state.identity.placement import Stage
from state.join import JoinRules
from state.store import Store
from tests.state.identity.driving import KEYRING

NEIGHBOURS: Final = 100_000
#: Far more than it takes, on a machine that does other things besides.
SECONDS_MAX: Final = 10.0
KIOSK: Final = f"{0:032x}"
# Two who were seen with the kiosk's cookie only, and two with a cookie that only they were seen with.
FIRST, LAST = f"{1:032x}", f"{NEIGHBOURS:032x}"
STRANGERS: Final = f"{NEIGHBOURS + 1:032x}", f"{NEIGHBOURS + 2:032x}"


def _place(kind: str, state: str, fragment: str, candidates: tuple[str, ...] = ()) -> bytes:
    return encode_row(
        LinkRow(kind, b"sealed", state, fragment, int(Grade.CLAIMED), 1, 0, 0, 0, candidates, int(Stage.ATTACHING))
    )


def _pair(one: str, one_kind: str, other: str, other_kind: str) -> dict[bytes, bytes]:
    rows = {}
    for here, there, kind in ((one, other, other_kind), (other, one, one_kind)):
        rows[evidence_key(here, there, int(Grade.CLAIMED), "shop")] = encode_row(EvidenceRow(0, "e-1", 0, kind))
    return rows


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory: pytest.TempPathFactory) -> Explanations:
    """A copy on disk, whose cookie was seen with a hundred thousand e-mails."""
    folder: Path = tmp_path_factory.mktemp("kiosk")
    store = Store.open(folder, secret_fingerprint=KEYRING.fingerprint)
    emails = [f"{number:032x}" for number in range(1, NEIGHBOURS + 1)]
    rows = {link_key(KIOSK): _place("cookie", SHARED, KIOSK, tuple(emails[:5]))}
    for email in (*emails, *STRANGERS):
        rows[link_key(email)] = _place("email", HOME, email)
    for email in emails:
        rows |= _pair(KIOSK, "cookie", email, "email")
    rows |= _pair(*(end for stranger in STRANGERS for end in (stranger, "email")))
    store.write(rows, {})
    return Explanations(store.frozen, KEYRING, JoinRules(DEFAULT_POLICY))


def test_two_who_were_seen_with_the_kiosk_meet_at_it(kiosk: Explanations) -> None:
    began = time.monotonic()
    said = kiosk.pair(FIRST, LAST)
    assert time.monotonic() - began < SECONDS_MAX
    assert [(step.other.kind, step.obstacle and step.obstacle.reason) for step in said.chain] == [
        ("cookie", "shared"),
        ("email", "shared"),
    ]
    assert not said.cut


def test_a_walk_through_the_kiosk_ends_and_says_that_it_was_cut(kiosk: Explanations) -> None:
    began = time.monotonic()
    said = kiosk.pair(FIRST, KIOSK)
    assert said.verdict == "shared"
    # To a stranger there is no way, but so much is left unread that nobody could know.
    said = kiosk.pair(FIRST, STRANGERS[0])
    assert (said.verdict, said.chain) == ("apart", ())
    customer = kiosk.customer(KIOSK)
    assert time.monotonic() - began < SECONDS_MAX
    assert customer.cut


def test_so_many_rows_are_read_and_no_more() -> None:
    rows = PartitionRows(MemoryRows({b"e/%d" % number: b"" for number in range(30)}), rows_max=20, scan_rows_max=15)
    assert len(list(rows.scan(b"e/"))) == 15
    assert rows.cut
    assert len(list(rows.scan(b"e/"))) == 5
    assert ROWS_MAX < NEIGHBOURS
