"""Telepsych: the companion to virtual psychiatric medication follow-ups."""

__version__ = "0.1.0"
