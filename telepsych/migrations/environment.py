"""What both chains' `env.py` do: move the connection they were given, in the transaction it is in."""

from alembic import context

from telepsych.migrations import Chain, options_of


def run() -> None:
    """Run the migrations that Alembic has chosen."""
    chain: Chain = context.config.attributes["chain"]
    context.configure(connection=context.config.attributes["connection"], **options_of(chain))
    with context.begin_transaction():
        context.run_migrations()
