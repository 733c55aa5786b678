"""The authenticator app: six digits that change every thirty seconds, each good once.

The seed of a new one waits on the server until its first code fits; a page shows it and never sends it back.
"""

from uuid import UUID

import pyotp
from sqlalchemy import Select, select, update

from telepsych.accounts.models import Factor, FactorKind
from telepsych.audit import service as audit
from telepsych.core.clock import MINUTE, SECOND
from telepsych.core.work import Work

STEP = 30
WAITS = 15 * MINUTE
"""How long a seed waits for its first code."""


def offer(work: Work, person_id: UUID) -> str:
    """The seed of an authenticator that is being set up: the one that waits already, or a new one."""
    waiting = _waiting(work, person_id)
    if waiting is not None and work.now < waiting.created_at + WAITS:
        return waiting.secret
    if waiting is not None:
        waiting.ended_at = work.now
    seed = pyotp.random_base32()
    work.add(Factor(person_id=person_id, kind=FactorKind.TOTP, created_at=work.now, secret=seed, label=""))
    audit.record(work, "factor.totp-offered", f"person:{person_id}", purpose="operations")
    return seed


def accept(work: Work, person_id: UUID, code: str) -> tuple[str, int] | None:
    """The waiting seed and the time step of its first code, if the code fits; the seed waits no longer then."""
    waiting = _waiting(work, person_id)
    if waiting is None or work.now >= waiting.created_at + WAITS:
        return None
    step = step_of(waiting.secret, code, work.now, 0)
    if step is None:
        return None
    waiting.ended_at = work.now
    return waiting.secret, step


def use_code(work: Work, person_id: UUID, code: str) -> bool:
    """Use a code up. Of many parallel uses exactly one succeeds."""
    factor = confirmed(work, person_id)
    step = step_of(factor.secret, code, work.now, factor.last_step) if factor else None
    if factor is None or step is None:
        return False
    newer = update(Factor).where(Factor.id == factor.id, Factor.last_step < step, Factor.ended_at.is_(None))
    return work.changed(newer.values(last_step=step, used_at=work.now)) == 1


def step_of(seed: str, code: str, now: int, last_step: int) -> int | None:
    """The time step a code belongs to, one step of drift either way, if it is newer than the last one used."""
    totp = pyotp.TOTP(seed)
    present = now // SECOND // STEP
    for step in (present, present - 1, present + 1):
        if step > last_step and pyotp.utils.strings_equal(totp.generate_otp(step), code.strip().replace(" ", "")):
            return step
    return None


def confirmed(work: Work, person_id: UUID) -> Factor | None:
    """The authenticator a person has set up."""
    return work.session.scalar(_of(person_id).where(Factor.confirmed_at.is_not(None)))


def _waiting(work: Work, person_id: UUID) -> Factor | None:
    return work.session.scalar(_of(person_id).where(Factor.confirmed_at.is_(None)).order_by(Factor.created_at.desc()))


def _of(person_id: UUID) -> Select[Factor]:
    return select(Factor).where(
        Factor.person_id == person_id, Factor.kind == FactorKind.TOTP, Factor.ended_at.is_(None)
    )
