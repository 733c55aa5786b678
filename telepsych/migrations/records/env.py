"""Alembic's way into the chain of the records database."""

from telepsych.migrations.environment import run

run()
