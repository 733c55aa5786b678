"""The shape of the chart-facts form: `config/chart/facts.toml`."""

from functools import cache
from typing import Annotated, Literal

from pydantic import Field

from telepsych.core.content import Content, Document, load

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
FactCode = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]*$")]
Kind = Literal["date", "date_or_never", "dated_number", "blood_pressure", "choice", "several", "yes_no"]


class ChartChoice(Content):
    """One answer of a field with choices."""

    value: Name
    label: str


class ChartField(Content):
    """One field of the form and the fact it writes. `least` and `most` catch slips of the keyboard."""

    name: Name
    code: FactCode
    label: str
    kind: Kind
    key: str = "value"
    """Under which name a dated number stands in its fact."""
    least: float = 0
    most: float = 1_000
    unit: str = ""
    choices: tuple[ChartChoice, ...] = ()

    @property
    def options(self) -> list[tuple[str, str]]:
        """The choices as value and label."""
        return [(one.value, one.label) for one in self.choices]


class ChartGroup(Content):
    """Fields under one heading."""

    title: str
    fields: tuple[ChartField, ...] = Field(min_length=1)


class ChartForm(Document):
    """What a clinician may record about a patient that no screen collects yet."""

    groups: tuple[ChartGroup, ...]

    def fields(self) -> tuple[ChartField, ...]:
        """Every field, in order."""
        return tuple(field for group in self.groups for field in group.fields)


@cache
def chart_form() -> ChartForm:
    """The form as shipped. Raises `Misconfigured` naming file and field."""
    return load(ChartForm, "chart/facts.toml")
