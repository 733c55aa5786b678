"""What wakes this room from below: facts were recorded."""

from telepsych.appropriateness.service import facts_recorded

SUBSCRIBERS = {"facts.recorded": facts_recorded}
