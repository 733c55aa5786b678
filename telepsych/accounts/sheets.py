"""The recovery sheet: ten lines on paper, each a way past a lost second factor, once.

A line is 128 random bits, so it cannot be guessed; we keep a keyed hash of it. It never signs anybody in alone: it
comes after the right password, and ends every second factor, so that a new one is set up before anything opens.
"""

import base64
import re
import secrets
from uuid import UUID

from sqlalchemy import func, select, update

from telepsych.accounts.models import Factor, FactorKind
from telepsych.core.work import Work

LINES = 10
BYTES = 16


def make(work: Work, person_id: UUID) -> list[str]:
    """Ten new lines in place of any earlier sheet. They are not kept, and shown once."""
    end(work, person_id)
    lines = [_spelled(secrets.token_bytes(BYTES)) for _ in range(LINES)]
    for line in lines:
        work.add(
            Factor(
                person_id=person_id,
                kind=FactorKind.RECOVERY,
                created_at=work.now,
                confirmed_at=work.now,
                proof=_proof(work, person_id, line),
                secret="",
                label="",
            )
        )
    return lines


def use_line(work: Work, person_id: UUID, line: str) -> bool:
    """Use a line up. Of many parallel uses exactly one succeeds."""
    mine = update(Factor).where(
        Factor.proof == _proof(work, person_id, line),
        Factor.person_id == person_id,
        Factor.kind == FactorKind.RECOVERY,
        Factor.ended_at.is_(None),
    )
    return work.changed(mine.values(ended_at=work.now, used_at=work.now)) == 1


def left(work: Work, person_id: UUID) -> int:
    """How many lines were not used yet."""
    mine = select(func.count()).select_from(Factor)
    mine = mine.where(Factor.person_id == person_id, Factor.kind == FactorKind.RECOVERY, Factor.ended_at.is_(None))
    return work.session.scalar(mine) or 0


def end(work: Work, person_id: UUID) -> None:
    """Make the lines that are left worthless."""
    mine = Factor.person_id == person_id, Factor.kind == FactorKind.RECOVERY, Factor.ended_at.is_(None)
    work.changed(update(Factor).where(*mine).values(ended_at=work.now))


def _spelled(data: bytes) -> str:
    """In base32, in groups of four or five that are read and typed without losing the place."""
    text = base64.b32encode(data).decode().rstrip("=").lower()
    return "-".join(text[start : start + 5] for start in range(0, len(text), 5))


def _proof(work: Work, person_id: UUID, line: str) -> bytes:
    bare = re.sub(r"[\s-]", "", line).lower().encode()
    return work.practice.vault.mac("recovery-line", person_id.bytes + bare)  # type: ignore[no-any-return]
