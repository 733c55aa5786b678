"""All pages of the visits."""

from telepsych.visits import check_in_views, closing_views, room_views
from telepsych.visits.blueprint import bp

__all__ = ["bp", "check_in_views", "closing_views", "room_views"]
