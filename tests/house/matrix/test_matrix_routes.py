"""A1, A3 and A17 over every route: each persona on each compartment meets what `config/permissions` says."""

from functools import cache

import pytest
from sqlalchemy import select

from house.matrix import report, routes
from house.matrix.routes import Door
from house.matrix.world import World
from telepsych.patients import policy
from telepsych.patients.models import Patient
from telepsych.server.permissions import Expectation, Outcome, permissions

LINES = permissions().of("route")
PERSONAS = tuple(permissions().personas)
SLICE = ("adolescent", "guardian", "clinician", "staff-elsewhere")
"""Who also asks on PostgreSQL."""


@cache
def doors_of(app: object) -> dict[str, Door]:
    return {door.name: door for door in routes.doors(app)}  # type: ignore[arg-type]


def seen(world: World, door: Door, row: str, persona: str, *, fresh: bool = False) -> routes.Answer:
    return routes.ask(world, persona, door, door.address(world, persona, row), fresh=fresh)


def test_every_route_has_a_line_and_every_line_its_route(world: World) -> None:
    doors = doors_of(world.app)
    advice = [unlisted(world, door) for name, door in doors.items() if name not in LINES]
    gone = [name for name in LINES if name not in doors]
    assert not advice, "\n\n".join(advice)
    assert not gone, report.without_door("route", gone)


def unlisted(world: World, door: Door) -> str:
    unknown = set(door.parts.values()) - set(routes.PARTS)
    if unknown:
        return f"{door.name}: say in PARTS of tests/house/matrix/routes.py what stands for {', '.join(sorted(unknown))}"
    first = {row: {who: seen(world, door, row, who).outcome for who in PERSONAS} for row in door.compartments}
    fresh = any("fresh" in cells.values() for cells in first.values())
    if fresh:
        first = {
            row: {who: seen(world, door, row, who, fresh=True).outcome for who in cells} for row, cells in first.items()
        }
    return report.missing("route", door.name, first, fresh=fresh)


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_every_cell_of_a_route(world: World, line: Expectation) -> None:
    faults = faults_of(world, line, PERSONAS)
    assert not faults, "\n".join(faults)


def faults_of(world: World, line: Expectation, personas: tuple[str, ...]) -> list[str]:
    assert line.name in doors_of(world.app), report.without_door("route", [line.name])
    door = doors_of(world.app)[line.name]
    assert tuple(line.policy.rows) == door.compartments, (
        f"{line.name} needs a class with the rows {', '.join(door.compartments)}: {line.policy.name} has others"
    )
    faults = []
    for row in door.compartments:
        for persona in personas:
            expected = line.policy.rows[row][persona]
            answer = seen(world, door, row, persona, fresh=line.fresh)
            if answer.outcome != expected:
                faults.append(report.wrong(line, row, persona, answer.outcome))
            elif expected is Outcome.MISSING and door.has_record:
                faults += tells_apart(world, door, persona, answer)
            elif expected is Outcome.ALLOWED and line.fresh and seen(world, door, row, persona).done:
                faults.append(f"{line.name} · {persona} · {row}: goes on with a factor that is ten minutes old")
    return faults


def tells_apart(world: World, door: Door, persona: str, foreign: routes.Answer) -> list[str]:
    """Somebody else's has to look like something that was never there, whichever kind of id was made up."""
    found = []
    for nothing in routes.FOREIGN_KINDS:
        answer = routes.ask(world, persona, door, door.address_of_nothing(world, persona, nothing), fresh=True)
        if (answer.outcome, answer.body) != (foreign.outcome, foreign.body) and door.name not in routes.SHOWN:
            found.append(f"{door.name} · {persona}: what is not theirs looks otherwise than what is not there")
    return found


def test_tokens_of_every_persona_are_good(world: World) -> None:
    """Or else a refusal would prove nothing: it might be the token's."""
    (door,) = (one for one in routes.doors(world.app) if one.name == "POST /invitation")
    for persona, fresh in world.keys:
        assert routes.ask(world, persona, door, "/invitation", fresh=fresh).outcome == Outcome.ALLOWED, persona


def test_nothing_stays(world: World) -> None:
    """The stage is empty after a scene, so that each persona finds what the first one found."""
    door = doors_of(world.app)["POST /visits/<visit_id>/end"]
    for _ in range(2):
        assert seen(world, door, "any", "clinician").outcome == Outcome.ALLOWED
        assert any(news.name == "visit:news" for news in world.practice.said)


def test_a_hole_would_be_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a policy that opens every record, the matrix names everybody who gets in."""
    monkeypatch.setattr(policy, "patient_ids_of", lambda *_: select(Patient.id))
    name = "GET /api/conversations/<conversation_id>/sync"
    faults = faults_of(world, LINES[name], PERSONAS)
    assert f"{name} · other-patient · sensitive: expected not found (404), was allowed (class letters)" in faults
    assert {fault.split(" · ")[1] for fault in faults} >= {"guardian", "suspended", "clinician-elsewhere", "related"}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_a_slice_of_it_on_postgresql(world_on_postgres: World, line: Expectation) -> None:
    """The policies narrow in the database, so that other database has to narrow alike."""
    door = doors_of(world_on_postgres.app).get(line.name)
    if door and door.has_record:
        faults = faults_of(world_on_postgres, line, SLICE)
        assert not faults, "\n".join(faults)
