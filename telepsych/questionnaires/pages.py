"""What the pages of a questionnaire show. Pure."""

from dataclasses import dataclass
from uuid import UUID

from telepsych.core.words import gettext
from telepsych.questionnaires import history, service
from telepsych.questionnaires.answers import State
from telepsych.questionnaires.content import Item
from telepsych.questionnaires.models import Response


@dataclass(frozen=True, slots=True)
class QuestionPage:
    """One question. `step` of `steps` counts the questions everybody is asked; a further one says so."""

    response_id: UUID
    title: str
    intro: str
    item_id: str
    stem: str
    text: str
    why_we_ask: str
    options: tuple[tuple[str, str], ...]
    chosen: str
    declined: bool
    may_decline: bool
    before: str | None
    step: int
    steps: int
    progress_label: str
    reviewing: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One question and its answer; `open` when it has none."""

    item_id: str
    text: str
    answer: str
    open: bool


@dataclass(frozen=True, slots=True)
class ReviewPage:
    """Everything that was answered, before it is sent."""

    response_id: UUID
    title: str
    stem: str
    rows: tuple[ReviewRow, ...]
    last_item: str

    @property
    def is_ready(self) -> bool:
        return not any(row.open for row in self.rows)


def question_page(response: Response, item: Item, *, reviewing: bool, error: str = "") -> QuestionPage:
    """The page of one question."""
    instrument, answers = service.instrument_of(response), service.answers_of(response)
    asked = service.asked(response)
    usual = [one for one in asked if one.asked_when is None]
    place = asked.index(item)
    given = answers.get(item.id)
    step = min(place + 1, len(usual))
    numbered = gettext("Question {step} of {steps}").format(step=step, steps=len(usual))
    return QuestionPage(
        response_id=response.id,
        title=instrument.patient_title,
        intro=instrument.patient_intro if place == 0 else "",
        item_id=item.id,
        stem=instrument.stem if item.scored and instrument.asked_by == "self" else "",
        text=item.text,
        why_we_ask=item.why_we_ask or "",
        options=tuple((option.id, option.text) for option in instrument.options_of(item)),
        chosen=(given.option or "") if given else "",
        declined=given is not None and given.state is State.DECLINED,
        may_decline=item.may_decline,
        before=asked[place - 1].id if place else None,
        step=step,
        steps=len(usual),
        progress_label=numbered if item.asked_when is None else gettext("One more question"),
        reviewing=reviewing,
        error=error,
    )


def review_page(response: Response) -> ReviewPage:
    """The page before sending."""
    instrument, answers = service.instrument_of(response), service.answers_of(response)
    asked = service.asked(response)
    rows = tuple(
        ReviewRow(
            item.id,
            item.text,
            history.words_of(instrument, item, answers[item.id]) if item.id in answers else gettext("Not answered yet"),
            item.id not in answers,
        )
        for item in asked
    )
    stem = instrument.stem if instrument.asked_by == "self" else ""
    return ReviewPage(response.id, instrument.patient_title, stem, rows, asked[-1].id)


def item_after(response: Response, item_id: str) -> Item | None:
    """The question that follows one in order, None after the last."""
    asked = service.asked(response)
    names = [one.id for one in asked]
    place = names.index(item_id) + 1
    return asked[place] if place < len(asked) else None


def result_sentence(line: service.ScoreLine) -> str:
    """What a result says to the patient, in one sentence or two."""
    if line.total is None:
        return line.patient_band
    score = gettext("Your score is {total} of {maximum}, which means {band}.").format(
        total=line.total, maximum=line.maximum, band=line.patient_band
    )
    return f"{score} {line.change.patient}" if line.change else score
