"""What the web itself keeps: session rows, live tickets, news on its way, and what people were typing."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy import JSON, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from telepsych.core.columns import CLASS, code, digest, flag, key, moment, number, opaque, state
from telepsych.core.database import Base
from telepsych.crypto.scopes import Scope, user_scope
from telepsych.crypto.sealed import Sealed, SealedField, sealed_json, sealed_text


class Stage(StrEnum):
    """How far a sign-in has come."""

    HALF = "half"
    """The first factor was right; the second is still asked for. Opens nothing."""
    FULL = "full"


class SignInSession(Sealed, Base):
    """One person signed in on one device. The browser holds a random token; we keep its hash."""

    __tablename__ = "sign_in_session"
    __transport__ = True

    id = key()
    token_hash: Mapped[bytes] = digest(unique=True)
    person_id: Mapped[UUID] = opaque(index=True)
    epoch: Mapped[int] = number()
    stage: Mapped[Stage] = state(Stage)
    workforce: Mapped[bool] = flag()
    started_at: Mapped[int] = moment()
    seen_at: Mapped[int] = moment()
    factor_at: Mapped[int] = moment()
    locked_at: Mapped[int | None] = moment(optional=True)
    ended_at: Mapped[int | None] = moment(optional=True)
    lineage: Mapped[UUID | None] = opaque(optional=True)
    """The first session of a chain whose id changed at each fresh factor; empty in that first one."""
    busy_until: Mapped[int | None] = moment(optional=True)
    """A live visit or waiting room counts as activity until then."""
    device_id: Mapped[UUID | None] = opaque(optional=True)
    """The browser this person is known to use, where it keeps our cookie."""
    refused_at: Mapped[int | None] = moment(optional=True)
    """When somebody last came with this session after it was ended, so that not each request is noted."""
    device: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return user_scope(self.person_id)

    @property
    def chain(self) -> UUID:
        """What stays the same while the id changes: tokens of pages that are open are bound to it."""
        return self.lineage or self.id


class LiveTicket(Base):
    """A one-time pass from a page to the live group, good for 30 seconds and one session."""

    __tablename__ = "live_ticket"
    __transport__ = True

    id = key()
    ticket_hash: Mapped[bytes] = digest(unique=True)
    session_id: Mapped[UUID] = opaque(index=True)
    expires_at: Mapped[int] = moment(index=True)
    used_at: Mapped[int | None] = moment(optional=True)


class NewsRow(Base):
    """News for the live processes where the database has no notifications of its own. Ids only."""

    __tablename__ = "news"
    __transport__ = True

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, info={CLASS: "counter"})
    at: Mapped[int] = moment(index=True)
    name: Mapped[str] = code(48, "the name of the news")
    people: Mapped[list[str]] = mapped_column(JSON, info={CLASS: "id"})
    ids: Mapped[dict[str, str | int]] = mapped_column(JSON, info={CLASS: "id"})


class Draft(Sealed, Base):
    """What a person has typed and not yet sent, so that nothing is lost between devices and sessions."""

    __tablename__ = "draft"
    __transport__ = True
    __table_args__ = (UniqueConstraint("person_id", "place"),)

    id = key()
    person_id: Mapped[UUID] = opaque(index=True)
    place: Mapped[bytes] = digest()
    """Keyed hash of the form and the thing it is about."""
    saved_at: Mapped[int] = moment(index=True)
    fields: SealedField[dict[str, str]] = sealed_json()

    @property
    def sealing_scope(self) -> Scope:
        return user_scope(self.person_id)


class PolicyReport(Base):
    """How often on a day browsers reported the same kind of thing that the content security policy stopped."""

    __tablename__ = "policy_report"
    __transport__ = True
    __table_args__ = (UniqueConstraint("day", "directive", "page", "stopped"),)

    id = key()
    day: Mapped[int] = moment(index=True)
    directive: Mapped[str] = code(32, "a directive of the policy")
    page: Mapped[str] = code(96, "the pattern of a route, without ids")
    stopped: Mapped[str] = code(32, "a kind of thing, never an address")
    count: Mapped[int] = number(default=1)
