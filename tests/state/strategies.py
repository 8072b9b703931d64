"""Random events with distinct names: few values for each field, so that ties and overwrites are frequent."""

from hypothesis import strategies as st

from schemas.identifiers import Identifier
from schemas.messages import Ref, RoutedEvent
from tests.state.builders import ANN, DAY, MORNING, routed

NAMES = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.sampled_from([b'"x"', b'"y"', b"null", b"[1]"])


@st.composite
def histories(draw: st.DrawFn, identifier: Identifier = ANN, events_max: int = 12) -> list[RoutedEvent]:
    """Events of one identifier, each with its own (source, id)."""
    names = draw(
        st.lists(st.tuples(st.sampled_from(["crm", "web"]), st.integers(0, 9)), unique=True, max_size=events_max)
    )
    return [draw(_events(identifier, source, f"e-{number}")) for source, number in names]


@st.composite
def _events(draw: st.DrawFn, identifier: Identifier, source: str, name: str) -> RoutedEvent:
    return routed(
        identifier,
        source=source,
        id=name,
        type=draw(NAMES),
        time=MORNING + draw(st.integers(0, 5)) * DAY // 2,
        channel=draw(st.sampled_from(["web", "chat"])),
        rank=draw(st.integers(0, 1)),
        grade=draw(st.integers(1, 3)),
        direction=draw(st.sampled_from(["in", "out", ""])),
        summary=draw(st.sampled_from(["", "a line"])),
        traits=draw(st.dictionaries(st.sampled_from(["email", "phone", "name", "city"]), VALUES, max_size=3)),
        permissions=draw(
            st.dictionaries(NAMES, st.dictionaries(NAMES, st.booleans(), min_size=1, max_size=2), max_size=2)
        ),
        refs=tuple(draw(st.lists(st.builds(Ref, NAMES, NAMES, st.sampled_from(["", "paid"])), max_size=2))),
        groups=draw(st.dictionaries(NAMES, st.lists(NAMES, min_size=1, max_size=2).map(tuple), max_size=2)),
    )
