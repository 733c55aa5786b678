"""Scores over time as a chart: points, severity bands, and where medicines changed."""

from dataclasses import dataclass
from uuid import UUID

from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.medications import service as medications
from telepsych.questionnaires import service as questionnaires
from telepsych.questionnaires.content import instrument_named

SHOWN = ("phq9", "gad7")


@dataclass(frozen=True, slots=True)
class ScoreChart:
    """One chart with the sentence that says it first."""

    name: str
    sentence: str
    points: list[tuple[int, int]]
    bands: list[tuple[int, int, str]]
    top: int
    markers: list[tuple[int, str]]


def charts(work: Work, patient_id: UUID, *, for_patient: bool = False) -> list[ScoreChart]:
    """A chart for each instrument that was answered at least twice."""
    found = [_chart(work, patient_id, instrument_id, for_patient) for instrument_id in SHOWN]
    return [chart for chart in found if chart is not None]


def _chart(work: Work, patient_id: UUID, instrument_id: str, for_patient: bool) -> ScoreChart | None:
    series = questionnaires.series(work, patient_id, instrument_id)
    if len(series) < 2:
        return None
    instrument = instrument_named(instrument_id)
    first, last = series[0], series[-1]
    sentence = gettext("The score went from {first} to {last}. Lower means fewer symptoms.").format(
        first=first.total, last=last.total
    )
    changes = medications.changes_since(work, patient_id, first.at)
    scoring = instrument.scoring
    return ScoreChart(
        name=instrument.patient_title if for_patient else instrument.short_name,
        sentence=sentence,
        points=[(point.at, point.total) for point in series],
        bands=[
            (band.at_least, band.at_most, band.patient if for_patient else band.clinician) for band in scoring.bands
        ],
        top=scoring.maximum,
        markers=[(change.at, change.label) for change in reversed(changes) if change.kind != "stopped"],
    )
