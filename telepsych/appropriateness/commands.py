"""`telepsych appropriateness evaluate`: facts in, recommendation out, for people and for programs."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any, TextIO
from zoneinfo import ZoneInfo

import click

from telepsych.appropriateness.content import Moment, kind_of, rules
from telepsych.appropriateness.engine import Recorded, Result, Sheet
from telepsych.appropriateness.engine import evaluate as judge
from telepsych.appropriateness.examples import dated
from telepsych.appropriateness.panel import level_words
from telepsych.appropriateness.snapshots import public
from telepsych.core.clock import to_micros
from telepsych.core.errors import Invalid


@click.command()
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def evaluate(file: TextIO, as_json: bool) -> None:
    """Judge the facts in FILE, a JSON object.

    Either facts by code, or {"facts": {…}, "now": "2026-11-24", "when": "in-visit", "service_day": "2027-01-05",
    "licensed_states": ["CT"]}. A fact is its value, or {"value": …, "as_of": "2026-11-20"}, or a list of those.
    """
    try:
        sheet = read(json.loads(file.read()))
    except json.JSONDecodeError as problem:
        raise click.ClickException(f"The facts are not JSON: line {problem.lineno}.") from problem
    except Invalid as problem:
        raise click.ClickException("; ".join(f"{name}: {what}" for name, what in problem.fields.items())) from problem
    result = judge(sheet)
    answer = public(result, sheet, rules())
    click.echo(json.dumps(answer, ensure_ascii=False, indent=2) if as_json else in_words(result))


def read(raw: Any) -> Sheet:
    """Facts as given. Raises `Invalid` naming what cannot be read."""
    if not isinstance(raw, dict):
        raise Invalid(fields={"facts": "expected an object"})
    around = raw if isinstance(raw.get("facts"), dict) else {"facts": raw}
    zone = _zone(around.get("zone", "America/New_York"))
    now = _moment(around.get("now"), zone, "now")
    facts = {code: _rows(code, value, now, zone) for code, value in around["facts"].items()}
    if unknown := [code for code in facts if kind_of(code) is None]:
        raise Invalid(fields=dict.fromkeys(unknown, "no such fact"))
    try:
        when = Moment(str(around.get("when", Moment.IN_VISIT)))
    except ValueError:
        raise Invalid(fields={"when": f"one of {', '.join(Moment)}"}) from None
    states = frozenset(str(state).upper() for state in around.get("licensed_states", ["CT"]))
    day = around.get("service_day")
    return Sheet(facts, now, zone, when, states, _day(day, "service_day") if day else None)


def in_words(result: Result) -> str:
    """The result as a person reads it."""
    lines = [f"{result.level}: {level_words(result.level, result.days)}"]
    for one in result.fired:
        stop = f" [stop: {one.effect.stop}] {one.effect.what_to_do}" if one.effect.stop else ""
        why = f" ({one.why})" if one.why else ""
        lines.append(f"  {one.rule.id} {one.level}{f' {one.days} d' if one.days else ''} {one.rule.factor}{why}{stop}")
    lines += [f"  task: {task.text} [{task.rule}]" for task in result.tasks]
    for gap in result.unknown:
        lines.append(f"  unknown: {gap.rule.id} {gap.rule.factor}: {', '.join(one.code for one in gap.missing)}")
    return "\n".join([*lines, "The rules recommend; a clinician decides."])


def _rows(code: str, given: Any, now: int, zone: ZoneInfo) -> tuple[Recorded, ...]:
    several = given if isinstance(given, list) and given and all(_is_dated(one) for one in given) else [given]
    rows = [_row(code, one, now, zone) for one in several]
    return tuple(sorted(rows, key=lambda row: -row.as_of))


def _row(code: str, given: Any, now: int, zone: ZoneInfo) -> Recorded:
    today = datetime.fromtimestamp(now / 1_000_000, UTC).astimezone(zone).date()
    if not _is_dated(given):
        return Recorded(dated(given, today), now, "file")
    return Recorded(dated(given["value"], today), _moment(given["as_of"], zone, code), str(given.get("source", "file")))


def _is_dated(given: Any) -> bool:
    return isinstance(given, Mapping) and "value" in given and "as_of" in given


def _moment(text: Any, zone: ZoneInfo, name: str) -> int:
    """Microseconds of a date (noon) or a date with time; nothing given: now."""
    if text is None:
        return to_micros(datetime.now(UTC))
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise Invalid(fields={name: "expected a date such as 2026-11-24"}) from None
    if len(str(text)) == len("2026-11-24"):
        moment = datetime.combine(moment.date(), time(12))
    return to_micros(moment if moment.tzinfo else moment.replace(tzinfo=zone))


def _day(text: Any, name: str) -> date:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise Invalid(fields={name: "expected a date such as 2026-11-24"}) from None


def _zone(name: Any) -> ZoneInfo:
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError):
        raise Invalid(fields={"zone": "no such time zone"}) from None
