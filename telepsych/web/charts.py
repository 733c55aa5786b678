"""Where the points, bands and markers of a score chart go. Pure; the SVG itself is drawn by `shared/chart.html`.

A chart is drawn twice, wide and narrow, because scaled text becomes too small to read on a phone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MARGIN_LEFT, MARGIN_TOP, MARGIN_BOTTOM = 30, 26, 26
LETTER = 6.0
"""About how wide a letter is, in markers' words and bands' names."""
ROW = 15


@dataclass(frozen=True, slots=True)
class Dot:
    """One score: where it is, what it is, when it was."""

    x: float
    y: float
    value: float
    at: int
    label_y: float


@dataclass(frozen=True, slots=True)
class Stripe:
    """A severity band."""

    y: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Marker:
    """A change of medicine: a dashed line and its words."""

    x: float
    label: str
    text_x: float
    text_y: float
    anchor: str
    top: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything one SVG needs."""

    width: int
    height: int
    left: float
    right: float
    base: float
    top: float
    dots: tuple[Dot, ...]
    line: str
    stripes: tuple[Stripe, ...]
    markers: tuple[Marker, ...]
    ticks: tuple[tuple[float, float], ...]
    ends: tuple[tuple[float, int, str], ...]


def draw(
    points: Sequence[tuple[int, float]],
    bands: Sequence[tuple[float, float, str]] = (),
    markers: Sequence[tuple[int, str]] = (),
    top: float = 27,
    width: int = 640,
    height: int = 240,
) -> Drawing:
    """Lay a chart out. Points are (moment, score), bands (from, to, label), markers (moment, words)."""
    ordered = sorted(points)
    shown = [mark for mark in sorted(markers) if mark[1]]
    names = max((round(LETTER * len(name)) for _, _, name in bands), default=0)
    frame = _Frame(ordered, shown, top, width, height, names + 10)
    return Drawing(
        width=width,
        height=height,
        left=MARGIN_LEFT,
        right=frame.right,
        base=frame.base,
        top=frame.top,
        dots=tuple(frame.dot(at, value) for at, value in ordered),
        line=" ".join(f"{frame.x(at)},{frame.y(value)}" for at, value in ordered),
        stripes=tuple(frame.stripe(*band) for band in bands),
        markers=tuple(frame.marker(number, at, label) for number, (at, label) in enumerate(shown)),
        ticks=tuple((frame.y(value), value) for value in _ticks(top)),
        ends=frame.ends(ordered),
    )


class _Frame:
    """Turns moments and scores into places in the drawing; the bands' names stand in a gutter at the right."""

    def __init__(
        self,
        points: Sequence[tuple[int, float]],
        markers: Sequence[tuple[int, str]],
        most: float,
        width: int,
        height: int,
        gutter: int,
    ) -> None:
        moments = sorted([at for at, _ in points] + [at for at, _ in markers])
        self.first: int = moments[0] if moments else 0
        self.last: int = moments[-1] if moments else 1
        self.most = most
        self.right, self.edge = width - gutter, width - 4
        self.base, self.top = height - MARGIN_BOTTOM, MARGIN_TOP + ROW * max(len(markers) - 1, 0)

    def x(self, at: int) -> float:
        inner_left, inner_right = MARGIN_LEFT + 14, self.right - 14
        if self.last == self.first:
            return round((inner_left + inner_right) / 2, 1)
        return round(inner_left + (at - self.first) / (self.last - self.first) * (inner_right - inner_left), 1)

    def y(self, value: float) -> float:
        return round(self.base - min(value, self.most) / self.most * (self.base - self.top), 1)

    def dot(self, at: int, value: float) -> Dot:
        place = self.y(value)
        return Dot(self.x(at), place, value, at, place - 11 if place - self.top > 14 else place + 20)

    def stripe(self, low: float, high: float, label: str) -> Stripe:
        upper = self.y(min(high + 1, self.most))
        return Stripe(upper, round(self.y(low) - upper, 1), label)

    def marker(self, number: int, at: int, label: str) -> Marker:
        x, y = self.x(at), MARGIN_TOP - 10 + ROW * number
        fits = x + 5 + LETTER * len(label) < self.edge
        return Marker(x, label, x + 5 if fits else x - 5, y, "start" if fits else "end", y - 10)

    def ends(self, points: Sequence[tuple[int, float]]) -> tuple[tuple[float, int, str], ...]:
        if not points:
            return ()
        if len(points) == 1:
            return ((self.x(points[0][0]), points[0][0], "middle"),)
        first, last = points[0][0], points[-1][0]
        return ((self.x(first) - 12, first, "start"), (self.x(last) + 12, last, "end"))


def _ticks(top: float) -> list[int]:
    step = 5 if top <= 30 else 10
    return list(range(0, int(top) + 1, step))
