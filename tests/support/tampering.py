"""Ways of tampering with a trail of 2,000 entries, each at a place of the attacker's choice."""

from collections.abc import Callable

from sqlalchemy import delete, insert, select, update

from support.trail import row_at, run
from telepsych.audit.models import AuditLeaf, AuditRow, Outcome
from telepsych.core.ids import new_id
from telepsych.core.work import Work

ROWS = 2_000
FAR = 1 << 40
EDITS = {
    "version": 2,
    "at": 1,
    "actor_id": new_id(),
    "on_behalf_of": new_id(),
    "label": "system:other",
    "roles": "manager",
    "session_id": new_id(),
    "action": "test.other",
    "about": "thing:other",
    "patient_id": new_id(),
    "relation": "self",
    "purpose": "safety",
    "outcome": Outcome.REFUSED,
    "request_id": "other",
    "touched": b"t" * 32,
    "detail": b"sealed otherwise",
    "mac": b"m" * 32,
}


def edit(work: Work, at: int) -> None:
    column = list(EDITS)[at % len(EDITS)]
    run(work, update(AuditRow).where(AuditRow.id == row_at(at)).values({column: EDITS[column]}))


def remove(work: Work, at: int) -> None:
    run(work, delete(AuditRow).where(AuditRow.id == row_at(at)))
    if at % 2:
        run(work, delete(AuditLeaf).where(AuditLeaf.leaf_index == at))


def add(work: Work, at: int) -> None:
    """Put a copy of the entry in its place, under an id of its own, and everything after it one further."""
    forged = new_id()
    columns = {column.name: column for column in AuditRow.__table__.columns}
    copy = select(*[columns[name] for name in columns if name != "id"]).where(AuditRow.id == row_at(at))
    values = work.session.connection().execute(copy).one()._asdict()
    run(work, insert(AuditRow).values(id=forged, **values))
    leaf = work.session.connection().execute(select(AuditLeaf).where(AuditLeaf.leaf_index == at)).one()
    for shift in (FAR, 1 - FAR):  # in two steps: indexes are unique at every moment
        moved = AuditLeaf.leaf_index >= (at if shift == FAR else FAR)
        run(work, update(AuditLeaf).where(moved).values(leaf_index=AuditLeaf.leaf_index + shift))
    run(work, insert(AuditLeaf).values(leaf_index=at, row_id=forged, leaf_hash=leaf.leaf_hash, mac=leaf.mac))


def swap(work: Work, at: int) -> None:
    other = at + 1 if at + 1 < ROWS else at - 1
    for one, new in ((at, FAR), (other, at), (FAR, other)):
        run(work, update(AuditLeaf).where(AuditLeaf.leaf_index == one).values(leaf_index=new))


def cut(work: Work, at: int) -> None:
    rows = select(AuditLeaf.row_id).where(AuditLeaf.leaf_index >= at)
    run(work, delete(AuditRow).where(AuditRow.id.in_(rows)))
    run(work, delete(AuditLeaf).where(AuditLeaf.leaf_index >= at))


Way = Callable[[Work, int], None]
WAYS: dict[str, Way] = {"edit": edit, "delete": remove, "insert": add, "reorder": swap, "truncate": cut}


def first_bad(way: str, at: int) -> int:
    """The entry that has to be named: the last one can only be swapped with the one before."""
    return at - 1 if way == "reorder" and at == ROWS - 1 else at
