"""Names for things: time-ordered UUIDs (version 7), also when the browser makes them."""

from uuid import UUID

from uuid_utils.compat import uuid7

from telepsych.core.errors import NotFound


def new_id() -> UUID:
    """Return a new UUIDv7."""
    return uuid7()


def parse_id(text: str) -> UUID:
    """Read an id out of an address. A malformed id looks like one that is not there: `NotFound`."""
    try:
        return UUID(text)
    except (ValueError, AttributeError, TypeError):
        raise NotFound from None
