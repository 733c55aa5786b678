"""Triggers that refuse to change or remove what the audit trail holds, in both databases.

They stop accidents and stolen application credentials. Whoever owns the database can drop them; that is what the tree
and its anchors are for. Revision 0003 of the records chain makes the same triggers; a test compares the two.
"""

from collections.abc import Iterator

from sqlalchemy import DDL, Table, event

TABLES = ("audit_row", "audit_leaf", "audit_node", "audit_checkpoint", "audit_anchor", "audit_witness")
SENTENCE = "the audit trail is only ever added to"
FUNCTION = "telepsych_audit_guard"


def statements(dialect: str, table: str) -> Iterator[str]:
    """What makes a table's guard."""
    if dialect == "sqlite":
        for act in ("update", "delete"):
            name = f"{table}_no_{act}"
            yield f"CREATE TRIGGER {name} BEFORE {act.upper()} ON {table} BEGIN SELECT RAISE(ABORT, '{SENTENCE}'); END"
    else:
        yield (
            f"CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{SENTENCE}'; END $$"
        )
        yield (
            f"CREATE TRIGGER {table}_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {FUNCTION}()"
        )


def removals(dialect: str, table: str) -> Iterator[str]:
    """What takes it away, for a migration that must make the table anew, and for tests that play the attacker."""
    if dialect == "sqlite":
        yield from (f"DROP TRIGGER IF EXISTS {table}_no_{act}" for act in ("update", "delete"))
    else:
        yield f"DROP TRIGGER IF EXISTS {table}_guard ON {table}"


def protect(table: Table) -> None:
    """Make the guard whenever the table is made from the models."""
    for dialect in ("sqlite", "postgresql"):
        for statement in statements(dialect, table.name):
            event.listen(table, "after_create", DDL(statement).execute_if(dialect=dialect))  # type: ignore[no-untyped-call]
