"""What goes through the library is to the byte what goes the general way: outputs, rows and counts."""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec
import pytest

from schemas.identity_policy import DEFAULT_POLICY
from schemas.messages import Add, Own, encode
from schemas.topics import Topic
from state.context.compiled import Compiled
from state.context.engine import ContextEngine
from state.dedupe import Dedupe
from state.engine import MemoryRows, Output
from state.fragment import Limits
from state.join import JoinRules
from state.native.loading import Library
from tests.state.builders import MORNING, RING, fragment_of, routed, sealed
from tests.state.native.logs import PEOPLE, log

_LOGS_EACH = 100


class _Setting(NamedTuple):
    kept: Limits = Limits()
    shown: Limits = Limits()
    row_size_bytes_max: int = 4096
    document_size_bytes_max: int = 900_000
    #: Whether each checkpoint finds a new engine.
    restarts: bool = False


def _setting(dice: random.Random) -> _Setting:
    def limits() -> Limits:
        few = [dice.choice([0, 1, 2, 3, 5]) for _ in Limits.__struct_fields__]
        return Limits(*few) if dice.random() < 0.5 else Limits()

    document_size_bytes_max = dice.choice([900_000, 900_000, 60_000, 3_000])
    return _Setting(limits(), limits(), dice.choice([40, 4096]), document_size_bytes_max, dice.random() < 0.5)


def _run(
    checkpoints: list[list[bytes]], setting: _Setting, library: Library | None
) -> list[tuple[list[Output], dict[bytes, bytes | None], Counter[str]]]:
    rows = MemoryRows()
    said = []
    engine = None
    for values, end in zip(checkpoints, accumulate(map(len, checkpoints)), strict=True):
        if engine is None or setting.restarts:
            engine = ContextEngine(
                rows,
                RING.unseal,
                JoinRules(DEFAULT_POLICY, limits=setting.shown),
                limits=setting.kept,
                dedupe=Dedupe(rows, row_size_bytes_max=setting.row_size_bytes_max),
                document_size_bytes_max=setting.document_size_bytes_max,
                library=library,
            )
        engine.apply_many(values, range(end - len(values), end))
        drained = engine.drain()
        said.append((list(drained.outputs), drained.rows, engine.counts.copy()))
        rows.write(drained.rows)
        engine.settled()
    return said


@pytest.mark.parametrize("part", range(4))
def test_the_library_gives_what_the_general_way_gives(library: Library, part: int) -> None:
    for seed in range(part * _LOGS_EACH, (part + 1) * _LOGS_EACH):
        dice = random.Random(seed)
        setting, checkpoints = _setting(dice), log(dice)
        assert _run(checkpoints, setting, library) == _run(checkpoints, setting, None), f"seed {seed}"


def test_events_of_one_and_of_an_owner_with_members_go_through_the_library(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[int] = []
    take_in = Compiled.take_in

    def counted(self: Compiled, *arguments: Any, **named: Any) -> Sequence[int]:
        numbers = take_in(self, *arguments, **named)
        left.extend(numbers)
        return numbers

    monkeypatch.setattr(Compiled, "take_in", counted)
    ann, cookie = PEOPLE[:2]
    add = Add(fragment_of(ann), fragment_of(cookie), cookie.kind, sealed(cookie), "attached", 1, 1)
    own = Own(fragment_of(cookie), cookie.kind, sealed(cookie), fragment_of(ann), "attached", 1, 1, MORNING, MORNING)
    checkpoints: list[list[Any]] = [[routed(ann), add, own, routed(cookie)], [routed(ann, id="e-2")]]
    said = _run([[encode(each) for each in values] for values in checkpoints], _Setting(), library)
    assert not left
    documents = [each.value for each in said[1][0] if each.topic == Topic.CONTEXT]
    document = msgspec.json.decode(documents[0] or b"")
    assert document["interactions"]["count"] == 2
