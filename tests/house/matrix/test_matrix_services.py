"""A1 over every public function that takes a unit of work: who gets through, whatever door leads there one day."""

import inspect

import pytest

from house.matrix import report, services
from house.matrix.services import INNER, Service
from house.matrix.world import NO_SESSION, World
from telepsych.core.actor import Actor
from telepsych.server.permissions import Expectation, Outcome, permissions

LINES = permissions().of("service")
PERSONAS = tuple(persona for persona in permissions().personas if persona not in NO_SESSION[1:])
"""Without a session, all are nobody."""
ASKING = ("require", "one(", "all(", "asked")
THERE = {service.name: service for service in services.services()}


@pytest.fixture(scope="session")
def actors(world: World) -> dict[tuple[str, bool], Actor]:
    """Everybody, with and without a fresh factor."""
    return {(who, fresh): world.actor(who, fresh=fresh) for who in PERSONAS for fresh in (False, True)}


Actors = dict[tuple[str, bool], Actor]


def test_every_function_has_a_line_and_every_line_its_function(world: World, actors: Actors) -> None:
    advice = [unlisted(world, actors, one) for name, one in THERE.items() if name not in LINES]
    gone = [name for name in LINES if name not in THERE]
    assert not advice, "\n\n".join(advice)
    assert not gone, report.without_door("service", gone)


def unlisted(world: World, actors: Actors, service: Service) -> str:
    try:
        stale = observed(world, actors, service, fresh=False)
    except Exception as problem:
        return f"{service.name} has no line, and cannot be called yet: {problem!r}"
    fresh = any("fresh" in row.values() for row in stale.values())
    return report.missing(
        "service", service.name, observed(world, actors, service, fresh=True) if fresh else stale, fresh=fresh
    )


def observed(world: World, actors: Actors, service: Service, *, fresh: bool) -> dict[str, dict[str, str]]:
    return {
        row: {who: services.call(world, actors[who, fresh], who, service, row).outcome for who in PERSONAS}
        for row in service.compartments
    }


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_every_cell_of_a_function(world: World, actors: Actors, line: Expectation) -> None:
    assert line.name in THERE, report.without_door("service", [line.name])
    service = THERE[line.name]
    if line.policy.name == INNER:
        asks_nothing(world, actors, service)
        return
    assert tuple(line.policy.rows) == service.compartments, (
        f"{line.name} needs a class with the rows {', '.join(service.compartments)}: {line.policy.name} has others"
    )
    faults = [
        fault for row in service.compartments for persona in PERSONAS
        for fault in faults_of(world, actors, line, row, persona)
    ]  # fmt: skip
    assert not faults, "\n".join(faults)


def faults_of(world: World, actors: Actors, line: Expectation, row: str, persona: str) -> list[str]:
    service, expected = THERE[line.name], line.policy.rows[row][persona]
    found = services.call(world, actors[persona, line.fresh], persona, service, row)
    if not report.is_same(expected, found.outcome, "service"):
        return [report.wrong(line, row, persona, found.outcome)]
    if expected is not Outcome.ALLOWED or (not found.asked and line.policy.name != INNER):
        return [] if expected is not Outcome.ALLOWED else [f"{line.name} · {persona}: no policy was asked"]
    if line.fresh and services.call(world, actors[persona, False], persona, service, row).done:
        return [f"{line.name} · {persona} · {row}: goes on with a factor that is ten minutes old"]
    return []


def asks_nothing(world: World, actors: Actors, service: Service) -> None:
    """It decides nothing, so a door that calls nothing else saves nothing and shows nothing."""
    if services.can_be_called(service):
        found = services.call(world, actors["anonymous", False], "anonymous", service, service.compartments[0])
        asked = found.asked
    else:
        asked = any(f"work.{word}" in inspect.getsource(service.function) for word in ASKING)
    assert not asked, f"{service.name} asks a policy: give it a class that says who gets through"
