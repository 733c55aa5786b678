"""`telepsych triage evaluate`: how the safety screen does on labelled messages, for people and for programs.

Each line of the file is a JSON object: `id`, `text`, `meds` (chart names), `lang`, and `labels` with `urgency` and
`categories`. Other fields are ignored. The answer holds ids and figures, never a message.
"""

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Annotated, Any

import click
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from telepsych.triage.priority import Priority
from telepsych.triage.screen import Screening, screen

Z = 1.959963984540054
"""Standard normal quantile of a two-sided interval of 95 %."""


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Labels(_Lenient):
    """What a person judged the message to be."""

    urgency: Priority
    categories: Annotated[tuple[str, ...], Field(min_length=1)]


class Message(_Lenient):
    """One labelled message."""

    id: str
    text: str
    meds: tuple[str, ...] = ()
    lang: str | None = None
    author: str = "unknown"
    labels: Labels


@dataclass(frozen=True, slots=True)
class Case:
    """A labelled message and what the screen made of it."""

    message: Message
    screening: Screening

    @property
    def wanted(self) -> Priority:
        return self.message.labels.urgency

    @property
    def found(self) -> Priority:
        return self.screening.priority

    @property
    def reached(self) -> bool:
        """Raised at least as far as labelled."""
        return self.found >= self.wanted


@click.command()
@click.argument("path", metavar="FILE.jsonl", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def evaluate(path: Path, as_json: bool) -> None:
    """Measure the safety screen on labelled messages. Counts and ids only; no message is printed."""
    cases = [Case(message, screen(message.text, message.meds, message.lang)) for message in read_messages(path)]
    report = evaluated(cases)
    click.echo(json.dumps(report, ensure_ascii=False, indent=2) if as_json else _in_words(report))


def read_messages(path: Path) -> list[Message]:
    """The labelled messages of a file. Raises `click.ClickException` naming the line that cannot be used."""
    messages = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            messages.append(Message.model_validate_json(line))
        except ValidationError as problem:
            fields = ", ".join(".".join(map(str, fault["loc"])) or "not JSON" for fault in problem.errors())
            raise click.ClickException(f"Line {number} is not a labelled message: {fields}.") from problem
    if not messages:
        raise click.ClickException("The file holds no messages.")
    return messages


def evaluated(cases: Sequence[Case]) -> dict[str, Any]:
    """Recall (raised at least as far as labelled), precision, over-raising and confusion, with 95 % intervals."""
    serious = [case for case in cases if case.wanted >= Priority.URGENT]
    routine = [case for case in cases if case.wanted == Priority.ROUTINE]
    not_serious = [case for case in cases if case.wanted < Priority.URGENT]
    return {
        "messages": len(cases),
        "recall": {str(one): _rate((c for c in cases if c.wanted == one), _reached) for one in _DOWN[:-1]},
        "recall_emergency_or_urgent": _rate(serious, lambda case: case.found >= Priority.URGENT),
        "precision": {str(one): _rate((c for c in cases if c.found == one), _deserved) for one in _DOWN[:-1]},
        "routine_raised": _rate(routine, lambda case: case.found > Priority.ROUTINE),
        "routine_raised_to_urgent_or_more": _rate(routine, lambda case: case.found >= Priority.URGENT),
        "soon_or_routine_raised_to_urgent_or_more": _rate(not_serious, lambda case: case.found >= Priority.URGENT),
        "recall_by_lang": _by(serious, lambda case: [case.message.lang or "unknown"]),
        "recall_by_author": _by(serious, lambda case: [case.message.author]),
        "recall_by_category": _by(serious, lambda case: case.message.labels.categories[:1]),
        "confusion": _confusion(cases),
        "missed": [_missed(case) for case in serious if not case.reached],
        "over_raised": [_missed(case) for case in not_serious if case.found >= Priority.URGENT],
    }


_DOWN = sorted(Priority, reverse=True)


def _reached(case: Case) -> bool:
    return case.reached


def _deserved(case: Case) -> bool:
    return case.wanted >= case.found


def _rate(cases: Iterable[Case], is_hit: Callable[[Case], bool]) -> dict[str, Any]:
    hits = [is_hit(case) for case in cases]
    low, high = wilson(sum(hits), len(hits))
    return {"hits": sum(hits), "of": len(hits), "rate": _figure(sum(hits) / len(hits)) if hits else None} | {
        "interval": [_figure(low), _figure(high)]
    }


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; the whole of 0 to 1 when there is nothing to go by."""
    if of == 0:
        return 0.0, 1.0
    share, spread = hits / of, Z * Z / of
    middle = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def _by(cases: Sequence[Case], keys: Callable[[Case], Iterable[str]]) -> dict[str, Any]:
    names = sorted({name for case in cases for name in keys(case)})
    return {name: _rate((case for case in cases if name in keys(case)), _reached) for name in names}


def _confusion(cases: Sequence[Case]) -> dict[str, dict[str, int]]:
    counts: Counter[Hashable] = Counter((case.wanted, case.found) for case in cases)
    return {str(wanted): {str(found): counts[wanted, found] for found in _DOWN} for wanted in _DOWN}


def _missed(case: Case) -> dict[str, Any]:
    rules = [finding.rule for finding in case.screening.findings if finding.priority == case.found]
    return {"id": case.message.id, "labelled": str(case.wanted), "raised_to": str(case.found), "rules": rules}


def _figure(value: float) -> float:
    return round(value, 4)


def _in_words(report: dict[str, Any]) -> str:
    lines = [f"{report['messages']} messages", "", "Recall (raised at least as far as labelled)"]
    lines += [_line(name, rate) for name, rate in report["recall"].items()]
    lines += [_line("emergency or urgent, raised to urgent or more", report["recall_emergency_or_urgent"])]
    for title, key in _SECTIONS:
        lines += ["", title, *(_line(name, rate) for name, rate in report[key].items())]
    lines += ["", "Raised without need", _line("routine, raised at all", report["routine_raised"])]
    lines += [_line("routine, to urgent or more", report["routine_raised_to_urgent_or_more"])]
    lines += ["", f"{'labelled':<12}" + "".join(f"{found!s:>12}" for found in _DOWN)]
    lines += [
        f"{wanted:<12}" + "".join(f"{n:>12}" for n in row.values()) for wanted, row in report["confusion"].items()
    ]
    for title, key in (("Missed", "missed"), ("Raised too far", "over_raised")):
        lines += [
            "",
            title,
            *(f"  {one['id']}: {one['labelled']}, raised to {one['raised_to']}" for one in report[key]),
        ]
    return "\n".join(lines)


_SECTIONS = (
    ("Precision (of those raised so far, labelled so or more urgent)", "precision"),
    ("Recall by language (emergency and urgent)", "recall_by_lang"),
    ("Recall by author (emergency and urgent)", "recall_by_author"),
    ("Recall by main category (emergency and urgent)", "recall_by_category"),
)


def _line(name: str, rate: dict[str, Any]) -> str:
    if rate["rate"] is None:
        return f"  {name}: none"
    low, high = rate["interval"]
    return f"  {name}: {rate['hits']} of {rate['of']} ({rate['rate']:.0%}, 95 % interval {low:.0%} to {high:.0%})"
