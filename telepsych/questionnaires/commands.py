"""`telepsych questionnaires score`: what a form comes to, for people and for programs."""

import json
from pathlib import Path
from typing import Any

import click

from telepsych.core.errors import Invalid, TelepsychError
from telepsych.questionnaires import scoring
from telepsych.questionnaires.answers import read_answers
from telepsych.questionnaires.content import Instrument, instrument_named


@click.command()
@click.option("--instrument", "instrument_id", required=True, help="The instrument's id, for example phq9.")
@click.option("--answers", "path", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--age", type=click.IntRange(0, 130), help="Age in years, where the instrument reads refusals by age.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def score(instrument_id: str, path: Path, age: int | None, as_json: bool) -> None:
    """Score the answers of one form, a JSON object of item id and option id."""
    try:
        answer = _scored(instrument_named(instrument_id), json.loads(path.read_text(encoding="utf-8")), age)
    except json.JSONDecodeError as problem:
        raise click.ClickException(f"The answers are not JSON: line {problem.lineno}.") from problem
    except Invalid as problem:
        raise click.ClickException("; ".join(f"{name}: {what}" for name, what in problem.fields.items())) from problem
    except TelepsychError as problem:
        raise click.ClickException(f"There is no instrument {instrument_id}.") from problem
    click.echo(json.dumps(answer, ensure_ascii=False, indent=2) if as_json else _in_words(answer))


def _scored(instrument: Instrument, raw: Any, age: int | None) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise Invalid(fields={"answers": "expected an object of item id and option id"})
    answers = read_answers(instrument, raw)
    findings = scoring.safety_findings(instrument, answers, age)
    return scoring.score(instrument, answers, age).as_dict() | {
        "safety": [finding.as_dict() for finding in findings],
        "facts": scoring.facts(instrument, answers, age),
        "note": instrument.scoring.not_a_diagnosis,
    }


def _in_words(answer: dict[str, Any]) -> str:
    total = "no total" if answer["total"] is None else f"total {answer['total']}"
    band = f", {answer['band']['clinician']}" if answer["band"] else ""
    lines = [f"{answer['instrument']} {answer['version']}: {total}{band}"]
    lines += [f"{state.replace('_', ' ')}: {', '.join(answer[state])}" for state in _STATES if answer[state]]
    lines += [f"safety ({finding['priority']}): {finding['clinician']}" for finding in answer["safety"]]
    return "\n".join([*lines, answer["note"]])


_STATES = ("missing", "declined", "not_asked")
