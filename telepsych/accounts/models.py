"""People who sign in, what they hold, and when the practice is open."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped

from telepsych.core.actor import Role
from telepsych.core.columns import code, digest, flag, key, moment, number, opaque, ref, small, state
from telepsych.core.database import Base
from telepsych.crypto.scopes import Scope, practice_scope, user_scope
from telepsych.crypto.sealed import Sealed, SealedField, sealed_text


class Person(Sealed, Base):
    """Somebody who signs in, or may one day. Their name and addresses are sealed with a key of their own."""

    __tablename__ = "person"

    id = key()
    email_index: Mapped[bytes | None] = digest(optional=True, unique=True)
    email_index_version: Mapped[int] = small(default=1)
    epoch: Mapped[int] = number(default=1)
    """Raised to end every session of the person at once."""
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
    secret: SealedField[str] = sealed_text()
    """An Argon2id hash over the peppered password, or a TOTP seed."""
    label: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return user_scope(self.person_id)


class Guess(Base):
    """Failed attempts against one subject (an account or an address, hashed) within one window."""

    __tablename__ = "guess"
    __table_args__ = (UniqueConstraint("subject", "window"),)
    __transport__ = True

    id = key()
    subject: Mapped[bytes] = digest(index=True)
    window: Mapped[int] = moment(index=True)
    count: Mapped[int] = small(default=0)


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
