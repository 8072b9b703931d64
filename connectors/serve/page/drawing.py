"""Where the parts of the drawing of linked identifiers go: one row each, links as arcs beside them.

Rows one below the other stay readable on a phone, whatever the identifiers; the template writes the SVG.
"""

from dataclasses import dataclass
from typing import Final

from connectors.serve.page.hanging import Hanging, Link, Member

#: In units of the drawing, of which it is this wide.
WIDTH: Final = 400
_ROW: Final = 46
_TOP: Final = 26
_DOTS: Final = 96
_NEAREST: Final = 20
_STEP: Final = 11
_FARTHEST: Final = 88
#: Characters of a value that fit beside the dots.
_LABEL_LENGTH_MAX: Final = 30


@dataclass(frozen=True)
class Dot:
    """An identifier in the drawing."""

    member: Member
    y: int
    label: str


@dataclass(frozen=True)
class Arc:
    """A link in the drawing."""

    link: Link
    path: str
    #: Whether the home is at one end.
    home: bool


@dataclass(frozen=True)
class Drawing:
    """All of it."""

    width: int
    height: int
    dots_x: int
    dots: tuple[Dot, ...]
    arcs: tuple[Arc, ...]


def draw(hanging: Hanging) -> Drawing:
    """Rows for identifiers, arcs for links; the surest links are drawn last, over the others."""
    dots = tuple(Dot(member, _TOP + place * _ROW, _label(member)) for place, member in enumerate(hanging.members))
    arcs = tuple(
        Arc(link, _arc(dots[link.one].y, dots[link.other].y, link.other - link.one), link.one == 0)
        for link in reversed(hanging.links)
    )
    return Drawing(WIDTH, 2 * _TOP + max(0, len(dots) - 1) * _ROW, _DOTS, dots, arcs)


def _arc(top: int, bottom: int, rows: int) -> str:
    bend = _DOTS - min(_FARTHEST, _NEAREST + _STEP * (rows - 1)) * 4 // 3
    return f"M{_DOTS} {top}C{bend} {top} {bend} {bottom} {_DOTS} {bottom}"


def _label(member: Member) -> str:
    text = member.value or "of another customer"
    return text if len(text) <= _LABEL_LENGTH_MAX else f"{text[: _LABEL_LENGTH_MAX - 1]}…"
