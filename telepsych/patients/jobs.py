"""The clock's door: every hour, what growing up and expiring documents ask for. A second run does nothing more."""

from telepsych.patients.growing_up import grow_up

__all__ = ["grow_up"]
