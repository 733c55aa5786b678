"""The shape of `config/oversight/break_glass.toml`: emergency access to a record one has no relation to."""

from functools import cache
from typing import Annotated

from pydantic import Field

from telepsych.core.content import Content, Document, load

PLACE = "oversight/break_glass.toml"
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")]


class EmergencyGround(Content):
    """A ground to choose from."""

    id: Slug
    label: str
    hint: str


class GlassRules(Document):
    """How long it opens a record, on what grounds, and by when it is reviewed."""

    minutes: int = Field(gt=0, le=240)
    review_business_days: int = Field(gt=0)
    reason_min_length: int = Field(ge=10)
    """Characters, spaces aside."""
    searches_an_hour: int = Field(gt=0)
    """How often one person may look for somebody, found or not."""
    grounds: tuple[EmergencyGround, ...] = Field(min_length=1)

    def label_of(self, ground: str) -> str:
        """The words of a ground; of one that is no longer offered, its id."""
        return next((one.label for one in self.grounds if one.id == ground), ground)


@cache
def glass_rules() -> GlassRules:
    """The rules as shipped."""
    return load(GlassRules, PLACE)
