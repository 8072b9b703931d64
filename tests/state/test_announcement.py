"""Owners announced again after identity forgot: epochs above all that was told, and nobody who waits for ever."""

from schemas.messages import Drop, Own
from schemas.rows import LinkRow, RowDecoder, encode_row, link_row_key, member_key, record_key
from state.announcement import Announcement, newest_epoch
from state.context.rows import MemberRow, Record
from state.engine import MemoryRows
from state.identity.eras import epoch_floor, era_of_epoch, raised_epoch

ANN, COOKIE, STRANGER = "a" * 32, "c" * 32, "d" * 32
FLOOR = epoch_floor(1)


def links(**epochs: int) -> MemoryRows:
    rows = {
        ANN: LinkRow("email", b"ann", "home", ANN, 2, epochs.get("ann", 7), 0, 1, 2),
        COOKIE: LinkRow("cookie", b"c", "attached", ANN, 1, epochs.get("cookie", 5), 0, 1, 2),
    }
    return MemoryRows({link_row_key(fragment): encode_row(row) for fragment, row in rows.items()})


def test_where_identity_lost_nothing_its_epochs_stay_and_no_row_changes() -> None:
    told = list(Announcement(links()).owners())
    assert [message.epoch for each in told for message in each.messages] == [7, 5, 5]
    assert [each.row for each in told] == [None, None]


def test_where_it_forgot_its_epochs_rise_above_all_that_was_told() -> None:
    told = list(Announcement(links(), FLOOR).owners())
    assert [message.epoch for each in told for message in each.messages] == [FLOOR + 7, FLOOR + 5, FLOOR + 5]
    changed = dict(each.row for each in told if each.row is not None)
    assert {RowDecoder(LinkRow).decode(value).epoch for value in changed.values()} == {FLOOR + 7, FLOOR + 5}
    # Said twice it is said the same.
    again = list(Announcement(MemoryRows(changed), FLOOR).owners())
    assert [each.messages for each in again] == [each.messages for each in told]
    assert [each.row for each in again] == [None, None]


def test_a_fragment_that_identity_forgot_is_its_own_and_nobody_else_keeps_it() -> None:
    record = Record(kind="cookie", sealed=b"d", owner=ANN, state="attached", epoch=9, first=1, last=2)
    member = MemberRow(epoch=9, wanted=True, kind="cookie", sealed=b"d", era=3)
    state = [
        (record_key(STRANGER), encode_row(record)),
        (member_key(ANN, STRANGER), encode_row(member)),
        (member_key(ANN, COOKIE), encode_row(MemberRow(epoch=5, wanted=True))),
    ]
    announcement = Announcement(links(), FLOOR)
    told = [message for each in announcement.corrections(state) for message in each.messages]
    assert told == [
        Own(STRANGER, "cookie", b"d", STRANGER, "home", 0, FLOOR, 1, 2),
        Drop(ANN, STRANGER, FLOOR),
    ]
    assert announcement.era_seen == 3
    assert newest_epoch(state) == 9


def test_epochs_of_eras_follow_one_another() -> None:
    assert era_of_epoch(raised_epoch(12, epoch_floor(3))) == 3
    assert raised_epoch(raised_epoch(12, epoch_floor(3)), epoch_floor(3)) == epoch_floor(3) + 12
    assert raised_epoch(epoch_floor(2) + 12, epoch_floor(3)) == epoch_floor(3) + 12
