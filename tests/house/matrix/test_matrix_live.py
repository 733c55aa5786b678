"""A2: who may send each live event, who hears each hint, who is written to. Nobody hears of what they can't open."""

import pytest

from house.matrix import live, pushes, report
from house.matrix.world import World
from telepsych.server.permissions import Expectation, Outcome, permissions
from telepsych.web.live import HINTS
from telepsych.web.live_events import couriers

EVENTS, NEWS, NOTICES = (permissions().of(kind) for kind in ("event", "news", "notice"))
PERSONAS = tuple(permissions().personas)


def check_lines(kind: str, lines: dict[str, Expectation], there: set[str]) -> None:
    missing = [
        f'{name} has no line. Write into {report.place_of(kind, name)}: "{name}" = "<class>"'
        for name in there - set(lines)
    ]
    assert not missing, "\n".join(missing)
    assert not set(lines) - there, report.without_door(kind, set(lines) - there)


def test_every_event_has_a_line_and_every_line_its_event() -> None:
    check_lines("event", EVENTS, set(live.registered()))
    assert set(EVENTS) == set(live.DATA), "say in DATA of tests/house/matrix/live.py what is sent with each event"


@pytest.mark.parametrize("line", EVENTS.values(), ids=EVENTS.keys())
def test_every_cell_of_an_event(world: World, line: Expectation) -> None:
    event = live.registered()[line.name]
    assert tuple(line.policy.rows) == live.rows_of(event)
    faults = [
        report.wrong(line, row, persona, found) for row in line.policy.rows for persona in PERSONAS
        if not report.is_same(line.policy.rows[row][persona], found := live.send(world, persona, event), "event")
    ]  # fmt: skip
    assert not faults, "\n".join(faults)


def test_everything_that_is_said_has_a_line_and_every_line_is_said() -> None:
    check_lines("news", NEWS, pushes.news_said())
    check_lines("notice", NOTICES, pushes.notices_said())
    assert set(NEWS) == set(pushes.NEWS), "say in NEWS of tests/house/matrix/pushes.py what makes the server say it"
    assert set(NOTICES) == set(pushes.NOTICES), "the same in NOTICES"


def test_live_pages_are_told_nothing_else() -> None:
    """What reaches sockets is a hint, or brought by a courier, or the end of a session."""
    ours = {name for name, courier in couriers.items() if courier.__module__.startswith("telepsych.")}
    assert {name.split()[1] for name in NEWS} == HINTS | ours | {"signed-out"}


@pytest.mark.parametrize("line", [*NEWS.values(), *NOTICES.values()], ids=[*NEWS, *NOTICES])
def test_who_is_told(world: World, line: Expectation) -> None:
    assert tuple(line.policy.rows) == pushes.rows_of(line.name)
    told_of = pushes.told_of_news if line.kind == "news" else pushes.told_by_notice
    for row, cells in line.policy.rows.items():
        meant = {persona for persona, outcome in cells.items() if outcome is Outcome.ALLOWED}
        told = told_of(world, line.name, row)
        assert told == meant, f"{line.name} · {row}: told without a right to it {told - meant}, not told {meant - told}"
