"""What a failing cell, a door without a line and a line without a door say: exactly what to write, and where."""

from collections.abc import Iterable, Mapping

from telepsych.server.permissions import WORDS, Expectation, Outcome, permissions

CLASSES = "config/permissions/classes.toml"
FILES = {"service": "config/permissions/services.toml"}
SECTIONS = {"route": "routes", "event": "events", "news": "news", "notice": "notices", "command": "commands"}
Observed = Mapping[str, Mapping[str, str]]
"""Letters by row and persona."""


def place_of(kind: str, name: str) -> str:
    """Where the line of a door belongs."""
    if kind == "service":
        return f'{FILES[kind]}, under [services."{name.rpartition(".")[0]}"]'
    return f"config/permissions/doors.toml, under [{SECTIONS[kind]}]"


def line_of(kind: str, name: str, policy: str) -> str:
    """The line itself."""
    return f'{name.rpartition(".")[2]} = "{policy}"' if kind == "service" else f'"{name}" = "{policy}"'


def missing(kind: str, name: str, observed: Observed, *, fresh: bool = False) -> str:
    """What to write for a door without a line."""
    mark = ", fresh" if fresh else ""
    fitting = [one.name for one in permissions().classes.values() if _fits(one.rows, observed, kind)]
    advice = [f"{kind} {name} has no line. Write into {place_of(kind, name)}:"]
    advice += [f"    {line_of(kind, name, fit + mark)}" for fit in fitting]
    if not fitting:
        advice += [f"    {line_of(kind, name, '<class>' + mark)}", f"and a class into {CLASSES}, if this is meant:"]
        advice += [f'    {row} = "{"".join(cells.values())}"' for row, cells in observed.items()]
    return "\n".join([*advice, "Read the class before you write its name: the table says what is meant, not what is."])


def _fits(rows: Mapping[str, Mapping[str, Outcome]], observed: Observed, kind: str) -> bool:
    if set(rows) != set(observed):
        return False
    return all(is_same(rows[row][who], seen, kind) for row, cells in observed.items() for who, seen in cells.items())


def is_same(expected: str, seen: str, kind: str) -> bool:
    """Whether an outcome is the one expected. Functions, events and news do not say why not in a browser's terms."""
    if kind == "route":
        return expected == seen
    return (expected == Outcome.ALLOWED) == (seen == Outcome.ALLOWED) and seen in set(Outcome)


def without_door(kind: str, names: Iterable[str]) -> str:
    """What to do about lines whose door is gone."""
    return "\n".join(f"{place_of(kind, name)}: there is no {kind} {name} any more; take the line out" for name in names)


def wrong(line: Expectation, row: str, persona: str, seen: str) -> str:
    """One cell that came out otherwise."""
    expected = WORDS[line.policy.rows[row][persona]]
    found = WORDS[Outcome(seen)] if seen in set(Outcome) else seen
    return f"{line.name} · {persona} · {row}: expected {expected}, was {found} (class {line.policy.name})"
