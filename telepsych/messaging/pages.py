"""What the patient's pages of letters show. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from telepsych.core.words import gettext
from telepsych.messaging.models import Side
from telepsych.messaging.threads import Letter, Line, Thread
from telepsych.triage.content import Reason, Reasons
from telepsych.web import dates


@dataclass(frozen=True, slots=True)
class Person:
    """Whose record a page is about. `about` is their first name when it is not the reader's own."""

    patient_id: UUID
    about: str = ""
    may_keep_private: bool = False


@dataclass(frozen=True, slots=True)
class ListedLine:
    """One row of the list."""

    conversation_id: UUID
    title: str
    excerpt: str
    at: int
    status: str
    tone: str
    unread: bool
    about: str
    private: bool


@dataclass(frozen=True, slots=True)
class ListPage:
    """The list of conversations."""

    lines: Sequence[ListedLine]
    people: Sequence[Person]
    not_watched: str


@dataclass(frozen=True, slots=True)
class ReasonPage:
    """Choosing what it is about. `person` is None until somebody who writes for several has chosen."""

    people: Sequence[Person]
    person: Person | None
    content: Reasons
    error: str = ""


@dataclass(frozen=True, slots=True)
class ComposePage:
    """Writing the first letter, knowing when it will be read."""

    person: Person
    reason: Reason
    content: Reasons
    conversation_id: UUID
    client_id: UUID
    body: str = ""
    private: bool = False
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """One conversation."""

    thread: Thread
    person: Person
    response: str
    not_watched: str
    client_id: UUID
    help: Mapping[str, Any] | None = None
    body: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_private(self) -> bool:
        return self.thread.compartment == "confidential"

    @property
    def last_mine(self) -> Letter | None:
        """The reader's own newest letter while nobody of the team has answered it."""
        last = next((letter for letter in reversed(self.thread.letters)), None)
        return last if last is not None and last.mine else None

    def author(self, letter: Letter) -> str:
        return author_words(letter.author.name if letter.author else "", _title(letter), mine=letter.mine)

    def status(self, letter: Letter) -> str:
        """How far the reader's own letter has come."""
        if not letter.mine:
            return ""
        words = status_words()
        return words["read"] if self.thread.read_by_team >= letter.seq else words["delivered"]

    def days(self) -> list[tuple[str, list[Letter]]]:
        """The letters under the days they were written on."""
        found: list[tuple[str, list[Letter]]] = []
        for letter in self.thread.letters:
            day = dates.day(letter.sent_at)
            if not found or found[-1][0] != day:
                found.append((day, []))
            found[-1][1].append(letter)
        return found


def status_words() -> dict[str, str]:
    """What is said of one's own letter, also by the page's script."""
    return {
        "saved": gettext("Saved on this device. We keep trying to send it."),
        "sending": gettext("Sending…"),
        "delivered": gettext("Delivered"),
        "read": gettext("Read by the care team"),
        "refused": gettext("This could not be sent. Your words are below; please change them or call the practice."),
        "locked": gettext("Saved on this device. Sign in again to send it."),
        "new": gettext("New message from {author}"),
        "you": gettext("You"),
        "unkept": gettext("We could not send this yet. Please keep this page open; we keep trying."),
    }


def author_words(name: str, title: str, *, mine: bool) -> str:
    """Who wrote a letter, as the patient's side reads it."""
    if mine:
        return gettext("You")
    if not name:
        return gettext("Your care team")
    return f"{name}, {title}" if title else name


def listed(line: Line, person: Person) -> ListedLine:
    """A conversation as a row of the list."""
    status, tone = _standing(line)
    return ListedLine(
        conversation_id=line.conversation_id,
        title=line.reason_label,
        excerpt=line.excerpt,
        at=line.last_at,
        status=status,
        tone=tone,
        unread=line.unread,
        about=person.about,
        private=line.compartment == "confidential",
    )


def not_watched(content: Reasons) -> str:
    """The sentence that nobody reads at night, from the shipped content."""
    return content.before[0] if content.before else ""


def _standing(line: Line) -> tuple[str, str]:
    if line.closed_at is not None:
        return gettext("Closed"), ""
    if line.last_side is Side.TEAM:
        return (gettext("New answer"), "clay") if line.unread else (gettext("Answered"), "ok")
    if line.last_side is None:
        return gettext("Nothing sent yet"), ""
    return (gettext("Read by the care team"), "info") if line.read_by_team else (gettext("Delivered"), "")


def _title(letter: Letter) -> str:
    return letter.author.title if letter.author else ""
