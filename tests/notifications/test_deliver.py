"""The outbox: nothing lost, few repeats, nothing said, and an end to trying."""

from email.message import EmailMessage

import pytest
from sqlalchemy import select
from support.cast import Cast

from telepsych.core.clock import HOUR
from telepsych.notifications import jobs
from telepsych.notifications import service as notifications
from telepsych.notifications.channels import Undeliverable
from telepsych.notifications.models import OutboxRow, OutboxState


class Killed(BaseException):
    """The sender dies, as by SIGKILL: nothing after it runs."""


class Post:
    """A channel that remembers what left, and fails or dies when told."""

    def __init__(self) -> None:
        self.left: list[tuple[str, EmailMessage]] = []
        self.fails: list[BaseException] = []

    def send(self, letter: EmailMessage, name: str) -> None:
        failing = self.fails.pop(0) if self.fails else None
        if isinstance(failing, Undeliverable):
            raise failing
        self.left.append((name, letter))
        if failing:
            raise failing


def tell(cast: Cast, kind: str = "new-message") -> None:
    with cast.system() as work:
        work.asked = work.audited = True
        notifications.notify(work, [cast.patient.person_id, cast.other_patient.person_id], kind)


def states(cast: Cast) -> list[OutboxState]:
    with cast.system(writes=False) as work:
        work.asked = True
        return sorted(work.session.scalars(select(OutboxRow.state)))


def later(cast: Cast) -> None:
    cast.practice.clock.move(2 * HOUR)  # type: ignore[attr-defined]


def test_a_sender_that_dies_between_sending_and_writing_it_down_loses_nothing(cast: Cast) -> None:
    post, kills = Post(), 3
    tell(cast)
    for _ in range(kills):
        post.fails = [Killed()]
        with pytest.raises(Killed):
            jobs.deliver(cast.practice, post)
        later(cast)
    jobs.deliver(cast.practice, post)
    names = [name for name, _ in post.left]
    assert len(set(names)) == 2
    assert len(names) - 2 <= kills
    assert len({letter["Message-ID"] for _, letter in post.left}) == 2
    assert states(cast) == [OutboxState.SENT] * 2
    assert jobs.deliver(cast.practice, post) == 0


def test_a_leased_notice_is_left_alone_until_its_lease_ends(cast: Cast) -> None:
    post = Post()
    tell(cast)
    post.fails = [Killed()]
    with pytest.raises(Killed):
        jobs.deliver(cast.practice, post)
    assert jobs.deliver(cast.practice, post) == 0


def test_trying_ends(cast: Cast) -> None:
    post = Post()
    tell(cast)
    for _ in range(jobs.MOST_ATTEMPTS + 2):
        post.fails = [Undeliverable(), Undeliverable()]
        jobs.deliver(cast.practice, post)
        later(cast)
    assert states(cast) == [OutboxState.FAILED] * 2
    assert post.left == []


def test_a_refused_address_is_not_tried_again(cast: Cast) -> None:
    post = Post()
    tell(cast)
    post.fails = [Undeliverable(for_good=True)]
    jobs.deliver(cast.practice, post)
    assert states(cast) == [OutboxState.FAILED, OutboxState.SENT]


def test_one_notice_says_it_until_it_has_left(cast: Cast) -> None:
    post = Post()
    tell(cast)
    tell(cast)
    assert jobs.deliver(cast.practice, post) == 2
    tell(cast)
    assert jobs.deliver(cast.practice, post) == 2


@pytest.mark.parametrize("kind", ["new-message", "visit-booked", "visit-changed", "invitation", "work-item"])
def test_notices_say_nothing_about_anybody(cast: Cast, kind: str) -> None:
    tell(cast, kind)
    jobs.deliver(cast.practice)
    files = sorted((cast.practice.settings.data / "outbox").glob("*.eml"))
    assert len(files) == 2
    for file in files:
        text = file.read_text().casefold()
        assert file.stat().st_mode & 0o077 == 0
        assert not [name for one in cast.everybody() for name in one.name.casefold().split() if f"{name} " in text]
        assert not [word for word in ("medic", "phq", "invitation#", "suicid") if word in text]


def test_a_rolled_back_act_tells_nobody(cast: Cast) -> None:
    with cast.system() as work:
        work.asked = True
        notifications.notify(work, [cast.patient.person_id], "new-message")
        work.session.rollback()
    assert states(cast) == []
