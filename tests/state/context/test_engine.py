"""The engine: what one record or one checkpoint does, by what comes out."""

from typing import Any

import msgspec

from schemas.document import ContextChange, canonical_bytes
from schemas.errors import DeadCode
from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY, Policy
from schemas.messages import Add, Drop, Own, Ref, RoutedEvent, Snapshot, decode_routed, encode
from schemas.rows import FORMAT, is_record_key, split_member_key
from schemas.topics import Topic
from state.engine import Output
from state.fragment import Fragment, Limits, encode_fragment
from state.join import JoinRules
from tests.state.builders import ANN, ANNS_ACCOUNT, ANNS_COOKIE, DAY, MINUTE, MORNING, fragment_of, routed, sealed
from tests.state.context.bench import Bench, of

ANNS, COOKIES = fragment_of(ANN), fragment_of(ANNS_COOKIE)


def snapshots(outputs: list[Output]) -> list[Snapshot]:
    decoded = [decode_routed(each.value) for each in outputs if each.topic == Topic.ROUTED and each.value]
    return [each for each in decoded if isinstance(each, Snapshot)]


def own(
    identifier: Identifier, owner: Identifier, state: str, epoch: int, grade: int = 1, *, former: bool = False
) -> Own:
    return Own(
        fragment_of(identifier),
        identifier.kind,
        sealed(identifier),
        fragment_of(owner),
        state,
        grade,
        epoch,
        MORNING,
        MORNING,
        former,
    )


def add(owner: Identifier, identifier: Identifier, role: str, epoch: int, grade: int = 1) -> Add:
    fragment = fragment_of(identifier)
    return Add(fragment_of(owner), fragment, identifier.kind, sealed(identifier), role, grade, epoch)


def codes(outputs: list[Output]) -> list[bytes]:
    return [dict(each.headers)["gt-code"] for each in outputs if each.topic == Topic.DEAD]


def test_an_event_gives_an_interaction_its_changes_and_a_context_in_this_order() -> None:
    outputs = Bench().publish(routed(traits={"first_name": b'"Ann"'}, refs=(Ref("order", "o-12", "paid"),)))
    assert [each.topic for each in outputs] == [Topic.INTERACTIONS, Topic.CONTEXT_CHANGES, Topic.CONTEXT]
    assert {each.key for each in outputs} == {ANNS.encode()}
    assert of(Topic.INTERACTIONS, outputs) == [
        {
            "id": "e-1",
            "source": "shop-web",
            "type": "page.viewed",
            "time": "2026-11-22T10:00:00Z",
            "channel": "web",
            "customer": ANNS,
            "fragment": ANNS,
            "kind": "email",
            "grade": "claimed",
            "summary": "Viewed running shoes",
            "direction": "in",
            "session": "s-9",
            "data": {"identifiers": {"email": "ann@example.com"}},
        }
    ]
    assert of(Topic.CONTEXT_CHANGES, outputs) == [
        {
            "customer": ANNS,
            "version": 1,
            "changes": [
                {"field": "/identifiers/email/ann@example.com", "new": {"grade": "claimed", "role": "home"}},
                {"field": "/identity/level", "new": "recognised"},
                {
                    "field": "/refs/order/o-12",
                    "new": {"status": "paid", "type": "page.viewed"},
                    "source": "shop-web",
                    "event": "e-1",
                },
                {"field": "/traits/first_name", "new": "Ann", "source": "shop-web", "event": "e-1"},
            ],
        }
    ]


def test_the_context_is_the_contracts_document() -> None:
    event = routed(
        traits={"first_name": b'"Ann"'},
        permissions={"email": {"marketing": True}},
        refs=(Ref("order", "o-12", "paid"),),
        groups={"company": ("acme",)},
    )
    said = {"time": "2026-11-22T10:00:00Z", "source": "shop-web", "event": "e-1"}
    tally = {"interactions": 1, "first": "2026-11-22T10:00:00Z", "last": "2026-11-22T10:00:00Z"}
    assert of(Topic.CONTEXT, Bench().publish(event)) == [
        {
            "customer": ANNS,
            "version": 1,
            "settling": False,
            "realm": "default",
            "identity": {"level": "recognised", "strongest": "email"},
            "identifiers": [
                {
                    "kind": "email",
                    "value": "ann@example.com",
                    "grade": "claimed",
                    "role": "home",
                    "first": "2026-11-22T10:00:00Z",
                    "last": "2026-11-22T10:00:00Z",
                    "status": "current",
                }
            ],
            "traits": {"first_name": {"value": "Ann"} | said},
            "permissions": {"email": {"marketing": {"value": True} | said}},
            "channels": {"web": tally},
            "types": {"page.viewed": tally},
            "days": {"2026-11-22": {"web": 1}},
            "refs": [
                {
                    "kind": "order",
                    "id": "o-12",
                    "type": "page.viewed",
                    "time": "2026-11-22T10:00:00Z",
                    "status": "paid",
                }
            ],
            "groups": {"company": ["acme"]},
            "last": {
                "in": {"time": "2026-11-22T10:00:00Z", "channel": "web", "summary": "Viewed running shoes"},
                "out": None,
            },
            "interactions": {
                "count": 1,
                "first": "2026-11-22T10:00:00Z",
                "last": "2026-11-22T10:00:00Z",
                "recent": [
                    {
                        "id": "e-1",
                        "source": "shop-web",
                        "type": "page.viewed",
                        "time": "2026-11-22T10:00:00Z",
                        "channel": "web",
                        "summary": "Viewed running shoes",
                        "direction": "in",
                    }
                ],
            },
        }
    ]


def test_a_duplicate_changes_nothing_before_and_after_a_checkpoint_and_a_restart() -> None:
    bench = Bench()
    assert len(of(Topic.INTERACTIONS, bench.publish(routed(), routed()))) == 1
    assert bench.publish(routed()) == []
    bench.restart()
    assert bench.publish(routed()) == []
    assert bench.engine.counts == {"duplicate": 1}


def test_counters_alone_are_no_change_of_the_customer() -> None:
    bench = Bench()
    bench.publish(routed(id="e-1", traits={"city": b'"Utrecht"'}))
    outputs = bench.publish(routed(id="e-2", time=MORNING + MINUTE, traits={"city": b'"Utrecht"'}))
    assert [each.topic for each in outputs] == [Topic.INTERACTIONS, Topic.CONTEXT]
    assert of(Topic.CONTEXT, outputs)[0]["version"] == 2


def test_a_withdrawn_trait_is_a_change_with_its_cause() -> None:
    bench = Bench()
    bench.publish(routed(id="e-1", traits={"city": b'"Utrecht"'}))
    outputs = bench.publish(routed(id="e-2", time=MORNING + MINUTE, traits={"city": b"null"}))
    (change,) = (
        msgspec.json.decode(each.value or b"", type=ContextChange)
        for each in outputs
        if each.topic == Topic.CONTEXT_CHANGES
    )
    (field,) = change.changes
    assert (field.field, field.source, field.event) == ("/traits/city", "shop-web", "e-2")
    assert field.new is msgspec.UNSET


def test_other_content_under_the_same_name_is_dead_as_the_event_that_it_was() -> None:
    bench = Bench(partition=3, origin_topic="gt.routed")
    bench.publish(routed())
    outputs = bench.publish(routed(content=b"otherwise", data=b'{"n":1}'))
    assert codes(outputs) == [b"content_conflict"]
    (letter,) = outputs
    headers = dict(letter.headers)
    assert (headers["gt-stage"], headers["gt-topic"]) == (b"context", b"gt.routed")
    assert (headers["gt-partition"], headers["gt-offset"]) == (b"3", b"1")
    assert msgspec.json.decode(letter.value or b"") == {
        "specversion": "1.0",
        "id": "e-1",
        "source": "shop-web",
        "type": "page.viewed",
        "time": "2026-11-22T10:00:00Z",
        "channel": "web",
        "data": {"n": 1},
    }


def test_events_before_the_horizon_are_dead_and_never_counted() -> None:
    bench = Bench(horizon_days=30)
    bench.publish(routed(id="old", time=MORNING - 40 * DAY))
    bench.publish(routed(id="new"))
    outputs = bench.publish(routed(id="old", time=MORNING - 40 * DAY), routed(id="older", time=MORNING - 31 * DAY))
    assert codes(outputs) == [b"horizon_passed", b"horizon_passed"]
    (context,) = of(Topic.CONTEXT, bench.publish(routed(id="on the horizon", time=MORNING - 30 * DAY)))
    assert context["interactions"]["count"] == 3
    assert sum(not is_record_key(key) for key in bench.rows.rows) == 2


def test_without_a_horizon_a_copy_is_known_for_ever() -> None:
    bench = Bench()
    bench.publish(routed(id="old", time=MORNING - 4_000 * DAY), routed(id="new"))
    bench.restart()
    assert bench.publish(routed(id="old", time=MORNING - 4_000 * DAY)) == []


def test_what_cannot_be_read_is_dead_and_stops_nothing() -> None:
    bench = Bench()
    unreadable: list[Any] = [
        b"",
        b"\xc1",
        b"\x93\xa7unknown\x01\x02",
        encode(routed())[:-9],
        encode(routed(source="SOURCE")).replace(b"SOURCE", b"\xff" * 6),
        encode(routed(time=-1)),
        encode(routed(grade=7)),
        routed(sealed=b"sealed with another secret"),
        msgspec.structs.replace(own(ANN, ANN, "home", 1), sealed=b""),
        msgspec.structs.replace(add(ANN, ANNS_COOKIE, "joined", 1), sealed=sealed(ANN)),
        Snapshot(ANNS, COOKIES, 1, 0, 0, b"\xc1"),
    ]
    outputs = bench.publish(*unreadable)
    assert codes(outputs) == [b"unreadable_message"] * len(unreadable)
    assert outputs[1].value == b"\xc1"
    assert bench.engine.counts == {DeadCode.UNREADABLE_MESSAGE: len(unreadable)}
    assert len(of(Topic.CONTEXT, bench.publish(routed()))) == 1


def test_a_record_at_or_below_its_position_is_skipped_but_not_one_of_a_higher_era() -> None:
    bench = Bench()
    bench.publish(routed(), routed(id="e-2"))
    bench.restart()
    bench.engine.apply(encode(routed(id="e-3")), 1)
    assert bench.engine.counts == {"skipped": 1}
    bench.arguments = {"era": 1}
    bench.restart()
    bench.engine.apply(encode(routed(id="e-3")), 0)
    assert bench.engine.counts == {"applied": 1}


def test_a_fragment_of_another_owner_sends_its_snapshot_and_takes_its_context_back() -> None:
    cookie = Bench()
    cookie.publish(routed(ANNS_COOKIE))
    outputs = cookie.publish(own(ANNS_COOKIE, ANN, "attached", 1))
    assert of(Topic.CONTEXT, outputs) == [None]
    (snapshot,) = snapshots(outputs)
    assert (snapshot.target, snapshot.fragment, snapshot.epoch, snapshot.offset) == (ANNS, COOKIES, 1, 1)
    assert (snapshot.first, snapshot.last) == (MORNING, MORNING)
    outputs = cookie.publish(routed(ANNS_COOKIE, id="e-2"))
    assert [each["customer"] for each in of(Topic.INTERACTIONS, outputs)] == [ANNS]
    assert len(snapshots(outputs)) == 1
    assert of(Topic.CONTEXT, outputs) == []
    # A repeated own asks for it again, an older one does not.
    assert len(snapshots(cookie.publish(own(ANNS_COOKIE, ANN, "attached", 1)))) == 1
    assert snapshots(cookie.publish(own(ANNS_COOKIE, ANNS_COOKIE, "home", 0))) == []


def test_an_owner_shows_a_member_once_it_has_both_its_add_and_its_snapshot() -> None:
    cookie, ann = Bench(), Bench()
    (snapshot,) = snapshots(
        cookie.publish(routed(ANNS_COOKIE, time=MORNING + MINUTE), own(ANNS_COOKIE, ANN, "attached", 2))
    )
    (first,) = of(Topic.CONTEXT, ann.publish(routed(), add(ANN, ANNS_COOKIE, "attached", 2)))
    assert first["settling"] is True
    assert first["interactions"]["count"] == 1
    (second,) = of(Topic.CONTEXT, ann.publish(snapshot))
    assert second["settling"] is False
    assert second["interactions"]["count"] == 2
    assert second["interactions"]["recent"][0].get("via") == "cookie"
    # The other way round: the snapshot is kept until the add comes.
    early = Bench()
    assert of(Topic.CONTEXT, early.publish(routed(), snapshot))[0]["interactions"]["count"] == 1
    early.restart()
    (context,) = of(Topic.CONTEXT, early.publish(add(ANN, ANNS_COOKIE, "attached", 2)))
    assert canonical_bytes(context) == canonical_bytes(second)


def statuses(context: dict[str, Any]) -> dict[str, str]:
    return {each["kind"]: each["status"] for each in context["identifiers"]}


def test_a_member_that_was_replaced_is_former_and_the_changes_name_it() -> None:
    account, ann = Bench(), Bench()
    (snapshot,) = snapshots(account.publish(routed(ANNS_ACCOUNT), own(ANNS_ACCOUNT, ANN, "joined", 1, 3)))
    (before,) = of(Topic.CONTEXT, ann.publish(routed(), add(ANN, ANNS_ACCOUNT, "joined", 1, 3), snapshot))
    assert statuses(before) == {"crm": "current", "email": "current"}
    # It comes with more events in one snapshot, after the owner heard of the epoch.
    ann.publish(add(ANN, ANNS_ACCOUNT, "joined", 2, 3))
    news = (routed(ANNS_ACCOUNT, id="e-2"), own(ANNS_ACCOUNT, ANN, "joined", 2, 3, former=True))
    (snapshot,) = snapshots(account.publish(*news))
    outputs = ann.publish(snapshot)
    assert statuses(of(Topic.CONTEXT, outputs)[0]) == {"crm": "former", "email": "current"}
    (change,) = of(Topic.CONTEXT_CHANGES, outputs)[0]["changes"]
    current = {"grade": "record", "role": "joined"}
    assert change == {"field": "/identifiers/crm/8812", "old": current, "new": current | {"status": "former"}}
    # After a restart it is still so, in what either of them says next; and it ends as it came.
    account.restart()
    ann.restart()
    (snapshot,) = snapshots(account.publish(routed(ANNS_ACCOUNT, id="e-3")))
    assert snapshot.former
    assert statuses(of(Topic.CONTEXT, ann.publish(snapshot))[0]) == {"crm": "former", "email": "current"}
    (snapshot,) = snapshots(account.publish(own(ANNS_ACCOUNT, ANN, "joined", 3, 3)))
    ended = ann.publish(add(ANN, ANNS_ACCOUNT, "joined", 3, 3), snapshot)
    assert statuses(of(Topic.CONTEXT, ended)[0]) == {"crm": "current", "email": "current"}


def test_a_home_may_be_former_and_an_older_word_of_it_counts_no_more() -> None:
    bench = Bench()
    bench.publish(routed(), own(ANN, ANN, "home", 1, 2))
    (context,) = of(Topic.CONTEXT, bench.publish(own(ANN, ANN, "home", 2, 2, former=True)))
    assert statuses(context) == {"email": "former"}
    assert bench.publish(own(ANN, ANN, "home", 1, 2), own(ANN, ANN, "home", 2, 2, former=True)) == []


def test_rows_and_snapshots_of_versions_that_knew_no_former_identifiers_are_read() -> None:
    account, ann = Bench(), Bench()
    (snapshot,) = snapshots(account.publish(routed(ANNS_ACCOUNT), own(ANNS_ACCOUNT, ANN, "joined", 1, 3)))
    earlier = msgspec.msgpack.encode(msgspec.msgpack.decode(encode(snapshot))[:-1])
    (before,) = of(Topic.CONTEXT, ann.publish(routed(), add(ANN, ANNS_ACCOUNT, "joined", 1, 3), earlier))
    for bench in (account, ann):
        for key, row in bench.rows.rows.items():
            if is_record_key(key) or split_member_key(key) is not None:
                fields = msgspec.msgpack.decode(row[len(FORMAT) :])
                assert fields.pop() is False
                bench.rows.rows[key] = FORMAT + msgspec.msgpack.encode(fields)
        bench.restart()
    (snapshot,) = snapshots(account.publish(routed(ANNS_ACCOUNT, id="e-2")))
    assert not snapshot.former
    (after,) = of(Topic.CONTEXT, ann.publish(snapshot))
    assert after["interactions"]["count"] == before["interactions"]["count"] + 1
    assert statuses(after) == statuses(before) == {"crm": "current", "email": "current"}


def test_a_dropped_member_leaves_nothing_but_its_epoch() -> None:
    ann = Bench()
    content = Fragment()
    ann.publish(
        routed(), add(ANN, ANNS_COOKIE, "attached", 2), Snapshot(ANNS, COOKIES, 2, 0, 5, encode_fragment(content))
    )
    (context,) = of(Topic.CONTEXT, ann.publish(Drop(ANNS, COOKIES, 3)))
    assert [each["kind"] for each in context["identifiers"]] == ["email"]
    # What is late is no news: neither an add nor a snapshot of a lower epoch brings it back.
    assert ann.publish(add(ANN, ANNS_COOKIE, "attached", 2)) == []
    assert ann.publish(Snapshot(ANNS, COOKIES, 2, 0, 9, encode_fragment(content))) == []
    (again,) = of(Topic.CONTEXT, ann.publish(add(ANN, ANNS_COOKIE, "attached", 4)))
    assert again["settling"] is True


def test_a_customer_whose_events_all_left_gets_a_tombstone_and_its_versions_go_on() -> None:
    cookie, ann = Bench(), Bench()
    (snapshot,) = snapshots(cookie.publish(routed(ANNS_COOKIE), own(ANNS_COOKIE, ANN, "attached", 1)))
    ann.publish(own(ANN, ANN, "home", 1), add(ANN, ANNS_COOKIE, "attached", 1), snapshot)
    assert of(Topic.CONTEXT, ann.publish(Drop(ANNS, COOKIES, 2))) == [None]
    assert of(Topic.CONTEXT, ann.publish(routed()))[0]["version"] == 2


def test_linked_and_split_again_is_as_never_linked() -> None:
    def history(linked: bool) -> dict[bytes | None, bytes]:
        bench = Bench()
        latest: dict[bytes | None, bytes | None] = {}
        events: list[RoutedEvent] = [
            routed(
                identifier,
                id=f"{identifier.kind}-{number}",
                time=MORNING + number * MINUTE,
                traits={"n": b"%d" % number},
            )
            for number in range(4)
            for identifier in (ANN, ANNS_COOKIE)
        ]
        script: list[Any] = [own(ANN, ANN, "home", 1), own(ANNS_COOKIE, ANNS_COOKIE, "home", 1), *events[:3]]
        if linked:
            script += [own(ANNS_COOKIE, ANN, "attached", 2), add(ANN, ANNS_COOKIE, "attached", 2)]
        script += events[3:6]
        if linked:
            script += [own(ANNS_COOKIE, ANNS_COOKIE, "home", 3), Drop(ANNS, COOKIES, 3)]
        for message in [*script, *events[6:]]:
            outputs = bench.publish(message)
            while outputs:
                latest |= {each.key: each.value for each in outputs if each.topic == Topic.CONTEXT}
                outputs = bench.publish(*(each.value for each in outputs if each.topic == Topic.ROUTED))
        return {key: canonical_bytes(value) for key, value in latest.items() if value is not None}

    assert history(linked=True) == history(linked=False)


ROLE_MAILBOX = JoinRules(Policy(DEFAULT_POLICY.kinds, unlinkable=("email:*@example.com",)))


def test_what_is_never_evidence_belongs_to_nobody_and_shows_nobodys_traits() -> None:
    bench = Bench(ROLE_MAILBOX)
    (context,) = of(Topic.CONTEXT, bench.publish(routed(traits={"first_name": b'"Ann"'}, grade=2)))
    assert context["identity"] == {"level": "shared", "strongest": "email"}
    assert (context["traits"], context["identifiers"], context["interactions"]["recent"]) == ({}, [], [])
    assert context["interactions"]["count"] == 1
    (other,) = of(Topic.CONTEXT, bench.publish(routed(ANNS_COOKIE, id="e-2")))
    assert other["identity"]["level"] == "anonymous"


def test_what_is_never_evidence_is_somebodys_once_an_operator_requires_it() -> None:
    account, ann = Bench(ROLE_MAILBOX), Bench(ROLE_MAILBOX)
    (snapshot,) = snapshots(account.publish(routed(ANNS_ACCOUNT), own(ANNS_ACCOUNT, ANN, "joined", 1, 3)))
    (alone,) = of(Topic.CONTEXT, ann.publish(routed(traits={"first_name": b'"Ann"'})))
    (joined,) = of(Topic.CONTEXT, ann.publish(add(ANN, ANNS_ACCOUNT, "joined", 1, 3), snapshot))
    (parted,) = of(Topic.CONTEXT, ann.publish(Drop(ANNS, fragment_of(ANNS_ACCOUNT), 2)))
    assert [each["identity"]["level"] for each in (alone, joined, parted)] == ["shared", "identified", "shared"]
    assert [sorted(each["traits"]) for each in (alone, joined, parted)] == [[], ["first_name"], []]


def test_a_context_too_large_for_a_record_is_cut_to_smaller_limits() -> None:
    traits = {f"trait_{number:02}": b'"%b"' % (b"x" * 900) for number in range(60)}
    bench = Bench(document_size_bytes_max=20_000)
    (output,) = (each for each in bench.publish(routed(traits=traits)) if each.topic == Topic.CONTEXT)
    assert output.value is not None
    assert 10_000 < len(output.value) <= 20_000
    assert msgspec.json.decode(output.value)["interactions"]["count"] == 1


def test_the_cache_is_bounded_and_what_left_it_is_read_back() -> None:
    bench = Bench(cached_rows_max=2, cached_identifiers_max=2)
    people = [Identifier("email", f"{number}@example.com") for number in range(9)]
    for turn in range(3):
        bench.publish(*(routed(person, id=f"e-{turn}") for person in people))
        assert len(bench.engine._entries._records) <= 2
    (context,) = of(Topic.CONTEXT, bench.publish(routed(people[0], id="e-last")))
    assert context["interactions"]["count"] == 4
    assert context["version"] == 4


def test_limits_of_the_rules_bound_fragments_too() -> None:
    bench = Bench(JoinRules(DEFAULT_POLICY, limits=Limits(recent=1)))
    (context,) = of(Topic.CONTEXT, bench.publish(routed(id="e-1"), routed(id="e-2")))
    assert [each["id"] for each in context["interactions"]["recent"]] == ["e-2"]


def test_a_refused_event_that_was_routed_twice_has_one_letter_by_its_raw_record() -> None:
    bench = Bench(raw_prefix="gt.raw.")
    bench.publish(routed(origin=(1, 40)))
    other = routed(content=b"another1", origin=(1, 44))
    letters = [each for each in bench.publish(other, other) if each.topic == Topic.DEAD]
    assert len(letters) == 2
    assert letters[0] == letters[1]
    headers = dict(letters[0].headers)
    assert (headers["gt-topic"], headers["gt-partition"], headers["gt-offset"]) == (b"gt.raw.web", b"1", b"44")
