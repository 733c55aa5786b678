"""Alembic's way into the chain of the keystore database."""

from telepsych.migrations.environment import run

run()
