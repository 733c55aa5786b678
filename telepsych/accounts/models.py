"""People who sign in, what they hold, and when the practice is open."""

from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped

from telepsych.core.actor import Role
from telepsych.core.columns import code, digest, flag, key, moment, number, opaque, ref, small, state
from telepsych.core.database import Base
from telepsych.crypto.scopes import Scope, practice_scope, user_scope
from telepsych.crypto.sealed import Sealed, SealedField, sealed_json, sealed_text


class Person(Sealed, Base):
    """Somebody who signs in, or may one day. Their name and addresses are sealed with a key of their own."""

    __tablename__ = "person"

    id = key()
    email_index: Mapped[bytes | None] = digest(optional=True, unique=True)
    email_index_version: Mapped[int] = small(default=1)
    epoch: Mapped[int] = number(default=1)
    """Raised to end every session of the person at once."""
    handle: Mapped[bytes | None] = digest(optional=True, unique=True)
    """64 random bytes that a passkey knows the person by; made with the first passkey."""
    created_at: Mapped[int] = moment()
    left_at: Mapped[int | None] = moment(optional=True)
    name: SealedField[str] = sealed_text()
    title: SealedField[str] = sealed_text()
    """How patients see them: "psychiatrist", "nurse"; empty for patients and guardians."""
    email: SealedField[str] = sealed_text()
    phone: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return user_scope(self.id)


class RoleGrant(Base):
    """A role held for a while."""

    __tablename__ = "role_grant"

    id = key()
    person_id: Mapped[UUID] = ref("person.id")
    role: Mapped[Role] = state(Role)
    valid_from: Mapped[int] = moment()
    valid_until: Mapped[int | None] = moment(optional=True)


class Team(Sealed, Base):
    """People who care for the same patients. A default team always exists."""

    __tablename__ = "team"

    id = key()
    is_default: Mapped[bool] = flag()
    name: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return practice_scope()


class TeamMember(Base):
    """A person's place in a team."""

    __tablename__ = "team_member"
    __table_args__ = (UniqueConstraint("team_id", "person_id", "valid_from"),)

    id = key()
    team_id: Mapped[UUID] = ref("team.id")
    person_id: Mapped[UUID] = ref("person.id")
    valid_from: Mapped[int] = moment()
    valid_until: Mapped[int | None] = moment(optional=True)


class FactorKind(StrEnum):
    """What a person can show to prove who they are."""

    PASSWORD = "password"  # noqa: S105
    TOTP = "totp"
    PASSKEY = "passkey"
    RECOVERY = "recovery"


class Factor(Sealed, Base):
    """One proof of identity. E-mail and text messages are never factors."""

    __tablename__ = "factor"

    id = key()
    person_id: Mapped[UUID] = ref("person.id")
    kind: Mapped[FactorKind] = state(FactorKind)
    created_at: Mapped[int] = moment()
    ended_at: Mapped[int | None] = moment(optional=True)
    confirmed_at: Mapped[int | None] = moment(optional=True)
    last_step: Mapped[int] = number(default=0)
    """The newest time step whose code was accepted: each code works once."""
    proof: Mapped[bytes | None] = digest(optional=True, unique=True)
    """SHA-256 of a passkey's id, or the keyed hash of a line of a recovery sheet."""
    sign_count: Mapped[int | None] = number(optional=True)
    """How often a passkey says it was used; stays 0 for one that does not count."""
    used_at: Mapped[int | None] = moment(optional=True)
    secret: SealedField[str] = sealed_text()
    """An Argon2id hash over the peppered password, or a TOTP seed."""
    label: SealedField[str] = sealed_text()
    """The name a person gave a passkey."""
    details: SealedField[dict[str, Any]] = sealed_json()
    """Of a passkey: its id, public key, transports, and whether it is or could be backed up."""

    @property
    def sealing_scope(self) -> Scope:
        return user_scope(self.person_id)


class ChallengeUse(StrEnum):
    """What a passkey was challenged for."""

    SIGN_IN = "sign-in"
    NEW = "new"
    STEP_UP = "step-up"


class Challenge(Base):
    """64 random bytes that one browser has to answer once within five minutes; we keep their hash."""

    __tablename__ = "challenge"
    __transport__ = True

    id = key()
    challenge_hash: Mapped[bytes] = digest(unique=True)
    use: Mapped[ChallengeUse] = state(ChallengeUse)
    bound_to: Mapped[bytes] = digest()
    """The hash of what only this browser holds."""
    person_id: Mapped[UUID | None] = opaque(optional=True)
    expires_at: Mapped[int] = moment(index=True)
    used_at: Mapped[int | None] = moment(optional=True)


class FormerEmail(Sealed, Base):
    """The address a person signed in with before, so that it is told of the change."""

    __tablename__ = "former_email"

    id = key()
    person_id: Mapped[UUID] = ref("person.id")
    changed_at: Mapped[int] = moment()
    email: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return user_scope(self.person_id)


class Guess(Base):
    """How fast one subject (an account, a network, both together; hashed) may be guessed at. See `guesses`."""

    __tablename__ = "guess"
    __table_args__ = (UniqueConstraint("subject", "window"),)
    __transport__ = True

    id = key()
    subject: Mapped[bytes] = digest(index=True)
    window: Mapped[int] = moment(index=True)
    """Always 0: a subject has one row, whose moments move on."""
    count: Mapped[int] = small(default=0)
    due_at: Mapped[int | None] = moment(optional=True)
    """Until when the attempts so far count; how that delays the next one is up to the kind of subject."""


class Invitation(Base):
    """A single-use way in for a person the practice knows. The token itself is never kept."""

    __tablename__ = "invitation"

    id = key()
    person_id: Mapped[UUID] = ref("person.id")
    invited_by: Mapped[UUID | None] = opaque(optional=True)
    token_hash: Mapped[bytes] = digest(unique=True)
    created_at: Mapped[int] = moment()
    expires_at: Mapped[int] = moment()
    used_at: Mapped[int | None] = moment(optional=True)
    ended_at: Mapped[int | None] = moment(optional=True)


class KnownDevice(Sealed, Base):
    """A browser that a person has signed in with. It holds a random token for this alone; we keep its keyed hash."""

    __tablename__ = "known_device"
    __table_args__ = (UniqueConstraint("person_id", "token_hash"),)
    __transport__ = True

    id = key()
    person_id: Mapped[UUID] = ref("person.id")
    token_hash: Mapped[bytes] = digest()
    first_seen_at: Mapped[int] = moment()
    seen_at: Mapped[int] = moment()
    name: SealedField[str] = sealed_text()
    """What the person calls it; empty until they do."""

    @property
    def sealing_scope(self) -> Scope:
        return user_scope(self.person_id)


class HowVerified(StrEnum):
    """How the practice made sure who was asking for a new way in. Never by e-mail alone."""

    IN_PERSON = "in-person"
    VOICE = "voice"
    VIDEO = "video"


class Recovery(Sealed, Base):
    """A new way in given to somebody who lost theirs: who made sure of them, and how."""

    __tablename__ = "recovery"

    id = key()
    person_id: Mapped[UUID] = ref("person.id")
    at: Mapped[int] = moment()
    by_id: Mapped[UUID | None] = opaque(optional=True)
    how: Mapped[HowVerified] = state(HowVerified)
    note: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return user_scope(self.person_id)


class OpeningHours(Base):
    """When the practice is open on one weekday (Monday is 0), in minutes after local midnight."""

    __tablename__ = "opening_hours"

    id = key()
    weekday: Mapped[int] = small()
    opens: Mapped[int] = small()
    closes: Mapped[int] = small()


class ClosedDay(Base):
    """A day on which the practice is closed besides public holidays."""

    __tablename__ = "closed_day"

    id = key()
    day: Mapped[str] = code(10, "a date of the practice's own calendar", unique=True)
