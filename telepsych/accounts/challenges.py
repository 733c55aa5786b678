"""Challenges for passkeys: 64 random bytes, answered once, within five minutes, by the browser they were given to."""

import hashlib
import secrets
from uuid import UUID

from sqlalchemy import delete, update

from telepsych.accounts.models import Challenge, ChallengeUse
from telepsych.core.clock import MINUTE
from telepsych.core.work import Work

LIFE = 5 * MINUTE
BYTES = 64


def issue(work: Work, use: ChallengeUse, bound_to: str, person_id: UUID | None = None) -> bytes:
    """A new challenge. `bound_to` is something that only this browser holds, such as its page token."""
    work.session.execute(delete(Challenge).where(Challenge.expires_at <= work.now))
    challenge = secrets.token_bytes(BYTES)
    work.add(
        Challenge(
            challenge_hash=_hash(challenge),
            use=use,
            bound_to=_hash(bound_to.encode()),
            person_id=person_id,
            expires_at=work.now + LIFE,
        )
    )
    return challenge


def use_up(work: Work, challenge: bytes, use: ChallengeUse, bound_to: str, person_id: UUID | None = None) -> bool:
    """Use a challenge up. True for exactly one caller: in time, for the same use, browser and person."""
    once = update(Challenge).where(
        Challenge.challenge_hash == _hash(challenge),
        Challenge.use == use,
        Challenge.bound_to == _hash(bound_to.encode()),
        Challenge.person_id == person_id if person_id else Challenge.person_id.is_(None),
        Challenge.used_at.is_(None),
        Challenge.expires_at > work.now,
    )
    return work.changed(once.values(used_at=work.now)) == 1


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
