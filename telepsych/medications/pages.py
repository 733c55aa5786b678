"""What the pages of the medication check-in show. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from telepsych.core.words import gettext
from telepsych.medications import asking
from telepsych.medications.asking import Kind, OwnChange, Step
from telepsych.medications.check_ins import Questioning, change_words, taking_words
from telepsych.medications.content import check_in as content

Options = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StepPage:
    """One screen of the check-in. `value` is what was answered, or what was typed and could not be taken."""

    visit_id: UUID
    key: str
    kind: str
    medicine: str
    how_it_reads: str
    value: Any
    before: str | None
    step: int
    steps: int
    reviewing: bool
    options: Options = ()
    changes: Options = ()
    severities: Options = ()
    burdens: Options = ()
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One step and its answer in words."""

    key: str
    title: str
    answer: str
    open: bool


def step_page(
    now: Questioning,
    step: Step,
    *,
    reviewing: bool,
    typed: Any = None,
    errors: Mapping[str, str] | None = None,
) -> StepPage:
    """The page of one step."""
    place = now.steps.index(step)
    value = typed if typed is not None else now.check_in.answers.get(step.key)
    chosen = tuple((symptom.id, symptom.text) for symptom in step.symptoms)
    return StepPage(
        visit_id=now.check_in.visit_id,
        key=step.key,
        kind=step.kind,
        medicine=step.asked.label if step.asked else "",
        how_it_reads=title_of(step),
        value=value,
        before=now.steps[place - 1].key if place else None,
        step=place + 1,
        steps=len(now.steps),
        reviewing=reviewing,
        options=_options(step, chosen),
        changes=tuple(change_words().items()),
        severities=tuple((one.id, one.text) for one in content().severities if one.id != "none"),
        burdens=tuple((one.id, one.text) for one in content().burdens),
        errors=errors or {},
    )


def title_of(step: Step) -> str:
    """A step as it is asked."""
    name = step.asked.name if step.asked else ""
    match step.kind:
        case Kind.TAKING:
            return gettext("Are you taking {medicine} as prescribed?").format(medicine=name)
        case Kind.DOSES:
            return gettext("How have you been taking {medicine}?").format(medicine=name)
        case Kind.REASONS:
            return gettext("What was the reason?")
        case Kind.EFFECTS:
            return gettext("Have you noticed any of these?")
        case Kind.SUPPLY:
            return gettext("How many days of {medicine} do you have left?").format(medicine=name)
        case Kind.SEVERITY:
            return gettext("How much do they bother you?")


def _review_title(step: Step) -> str:
    """A step as the review names it: there it stands without its page."""
    if step.kind is Kind.EFFECTS and step.asked:
        return gettext("Side effects asked about with {medicine}").format(medicine=step.asked.name)
    if step.kind is Kind.REASONS and step.asked:
        return gettext("The reason ({medicine})").format(medicine=step.asked.name)
    return gettext("How much side effects bother you") if step.kind is Kind.SEVERITY else title_of(step)


def review_rows(now: Questioning) -> tuple[ReviewRow, ...]:
    """Everything that was answered, before it is sent."""
    answers = now.check_in.answers
    rows = []
    for step in now.steps:
        done = asking.is_answered(step, answers)
        said = answer_words(step, answers[step.key]) if done else gettext("Not answered yet")
        rows.append(ReviewRow(step.key, _review_title(step), said, not done))
    return tuple(rows)


def answer_words(step: Step, value: Any) -> str:
    """A whole answer as it reads."""
    match step.kind:
        case Kind.TAKING:
            return taking_words()[value]
        case Kind.REASONS:
            return _listed([reason.text for reason in content().reasons if reason.id in value])
        case Kind.EFFECTS:
            return _listed([symptom.text for symptom in step.symptoms if symptom.id in value])
        case Kind.SUPPLY:
            return gettext("Not sure") if value["days"] is None else gettext("{days} days").format(days=value["days"])
        case Kind.DOSES:
            return _doses(value)
        case Kind.SEVERITY:
            return _severity(step, value)


def form_value(kind: Kind, form: Mapping[str, Any], many: Mapping[str, list[str]]) -> Any:
    """A step's answer out of a form; None when nothing at all was filled in."""
    match kind:
        case Kind.TAKING:
            return form.get("answer")
        case Kind.EFFECTS | Kind.REASONS:
            chosen = many.get("answer", [])
            return [one for one in chosen if one != NOTHING] if chosen else None
        case Kind.DOSES:
            return {"missed": form.get("missed"), "change": form.get("change")}
        case Kind.SUPPLY:
            return {"days": form.get("days"), "unsure": "unsure" in form}
        case Kind.SEVERITY:
            prefix = "symptom-"
            levels = {name.removeprefix(prefix): level for name, level in form.items() if name.startswith(prefix)}
            return {"symptoms": levels, "burden": form.get("burden")}


NOTHING = "none"
"""The answer card "None of these"."""


def _options(step: Step, chosen: Options) -> Options:
    if step.kind is Kind.TAKING:
        return tuple(taking_words().items())
    if step.kind is Kind.REASONS:
        chosen = tuple((reason.id, reason.text) for reason in content().reasons)
    return (*chosen, (NOTHING, gettext("None of these"))) if step.kind is not Kind.SEVERITY else chosen


def _doses(value: Mapping[str, Any]) -> str:
    parts = [gettext("Missed doses in the last 7 days: {count}").format(count=value["missed"])]
    if value["change"] != OwnChange.NONE:
        parts.append(change_words()[value["change"]])
    return ". ".join(parts)


def _severity(step: Step, value: Mapping[str, Any]) -> str:
    levels = {one.id: one.text for one in content().severities}
    burdens = {one.id: one.text for one in content().burdens}
    parts = [f"{symptom.text}: {levels[value['symptoms'][symptom.id]]}" for symptom in step.symptoms]
    in_the_way = gettext("In the way of your days: {much}").format(much=burdens[value["burden"]])
    return ". ".join([*parts, in_the_way])


def _listed(words: list[str]) -> str:
    return ", ".join(words) if words else gettext("None of these")
