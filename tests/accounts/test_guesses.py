"""Guessing is bounded whatever the number of addresses and processes, and nobody is locked out for good (A11, A12)."""

import threading
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, select
from support.cast import Cast

from accounts.test_passkey_answers import Door
from accounts.test_sign_in import PASSWORD, Visitor
from telepsych.accounts import guesses, passwords, sign_in
from telepsych.accounts.guesses import Budget, Kind, Slope, TooSoon
from telepsych.core.clock import HOUR, MINUTE, SECOND
from telepsych.core.errors import Invalid, TooMany
from telepsych.core.work import Practice
from telepsych.notifications.models import OutboxRow

JUNIPER = "juniper@example.org"


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Counts every password that is really tried, and spares the time of hashing it."""
    tried: list[str] = []

    def look(_vault: object, _kept: str | None, password: str) -> bool:
        tried.append(password)
        return password == PASSWORD

    monkeypatch.setattr(passwords, "is_right", look)
    return tried


def guess(practice: Practice, password: str, address: str = "198.51.100.7", email: str = JUNIPER) -> str:
    try:
        sign_in.with_password(practice, email, password, address=address, device="")
    except (Invalid, TooMany) as error:
        return error.kind
    return "in"


@given(
    st.lists(st.integers(0, 20 * MINUTE), max_size=400),
    st.integers(1, 50),
    st.integers(SECOND, 10 * MINUTE),
)
def test_a_budget_holds_in_every_span(pauses: list[int], burst: int, interval: int) -> None:
    """However attempts are spread, no hour sees more than the burst and one for each interval."""
    budget, due, now = Budget(burst, interval), 0, 10**15
    taken: list[int] = []
    waits: list[int] = []
    for pause in pauses:
        now += pause
        try:
            due = budget.after(due, now)
            taken.append(now)
        except TooSoon as early:
            waits.append(early.wait)
            budget.after(due, now + early.wait)  # as soon as it said
    assert all(0 < wait <= interval for wait in waits)
    for index, start in enumerate(taken):
        within = sum(start <= one < start + HOUR for one in taken[index:])
        assert within <= burst + HOUR // interval + 1


def test_the_budget_of_an_account_is_at_most_a_hundred_an_hour() -> None:
    budget = guesses.BUDGETS[Kind.ACCOUNT]
    assert budget.burst + HOUR // budget.interval <= 100


@given(st.integers(0, 200), st.booleans())
def test_pauses_grow_and_end(count: int, pressed: bool) -> None:
    slope = Slope(5, 5 * MINUTE, 2)
    assert 0 <= slope.pause(count, pressed) <= slope.pause(count + 1, pressed) <= 5 * MINUTE
    assert slope.pause(count, True) >= slope.pause(count, False)


def test_a_thousand_addresses_guess_no_faster(practice: Practice, known: Cast, hashes: list[str]) -> None:
    """A12 in small: an hour's attack from a thousand addresses comes to at most a hundred hashes of one account."""
    for number in range(1_000):
        practice.clock.move(HOUR // 1_000)
        guess(practice, f"guess {number}", f"2001:db8:{number:x}::1")
    assert 40 <= len(hashes) <= 100
    assert guess(practice, PASSWORD, "203.0.113.9") == "too-many"
    with pytest.raises(TooMany) as early:
        sign_in.with_password(practice, JUNIPER, PASSWORD, address="203.0.113.9", device="")
    assert early.value.retry_after <= 60, "never locked out for good"
    practice.clock.move(early.value.retry_after * SECOND)
    assert guess(practice, PASSWORD, "203.0.113.9") == "in"


def test_many_at_the_same_moment_share_one_budget(practice: Practice, known: Cast, hashes: list[str]) -> None:
    ready = threading.Barrier(8)

    def attack(number: int) -> None:
        ready.wait()
        for one in range(12):
            guess(practice, "no", f"192.0.2.{number * 12 + one}")

    threads = [threading.Thread(target=attack, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hashes) == guesses.BUDGETS[Kind.ACCOUNT].burst


def test_the_owners_passkey_works_while_somebody_guesses(practice: Practice, known: Cast, hashes: list[str]) -> None:
    door = Door(practice, known, known.patient).register()
    while guess(practice, "no", f"192.0.2.{len(hashes)}") != "too-many":
        pass
    assert door.enter(door.device.show(door.asked())).person_id == known.patient.person_id


def test_one_network_is_slowed_more_and_more_and_others_are_not(
    practice: Practice, known: Cast, hashes: list[str]
) -> None:
    waits = []
    for number in range(60):
        try:
            sign_in.with_password(practice, f"{number}@example.org", "no", address="192.0.2.1", device="")
        except TooMany as early:
            waits.append(early.retry_after)
            practice.clock.move(early.retry_after * SECOND)
        except Invalid:
            pass
    assert waits[:6] == [1, 2, 4, 8, 16, 32]
    assert max(waits) == 60
    assert guess(practice, "no", "192.0.2.2", "another@example.org") == "invalid"


def test_under_pressure_networks_get_less_patience(
    practice: Practice, known: Cast, monkeypatch: pytest.MonkeyPatch, hashes: list[str]
) -> None:
    monkeypatch.setattr(guesses, "PRESSED_FROM", 30)
    for number in range(30):
        assert guess(practice, "no", f"192.0.2.{number}", f"{number}@example.org") == "invalid"
    tries = [guess(practice, "no", "198.51.100.9", f"x{number}@example.org") for number in range(7)]
    assert tries == ["invalid"] * 5 + ["too-many"] * 2
    assert guess(practice, PASSWORD, "203.0.113.9") == "in", "who comes from elsewhere is not kept waiting"
    practice.clock.move(HOUR)
    assert guess(practice, "no", "198.51.100.9", "x@example.org") == "invalid"


def test_what_is_refused_costs_nothing_and_counts_nothing(practice: Practice, known: Cast, hashes: list[str]) -> None:
    for _ in range(50):
        guess(practice, "no")
    assert len(hashes) == guesses.SLOPES[Kind.PAIR].free
    assert guess(practice, PASSWORD, "203.0.113.9") == "in", "the account's own budget was hardly touched"


# A11: nothing tells whether an account exists


def test_a_wrong_pair_costs_the_same_work_whether_there_is_an_account(
    practice: Practice, known: Cast, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal words, status, headers, hashes and statements that write; the timing is measured in benchmarks."""
    seen: list[tuple[Any, ...]] = []
    verified: list[str] = []

    class Counting:
        """Argon2, with a note of every hash that is worked out."""

        def __init__(self, hasher: Any) -> None:
            self.hasher = hasher

        def verify(self, kept: str, password: bytes) -> bool:
            verified.append(kept.split("$")[3])
            return bool(self.hasher.verify(kept, password))

        def hash(self, password: bytes) -> str:
            return str(self.hasher.hash(password))

    monkeypatch.setattr(passwords, "HASHER", Counting(passwords.HASHER))
    passwords.is_right(practice.vault, None, "")  # the hash that stands for nobody's is made once
    for address in (JUNIPER, "nobody@example.org", "sage@example.org", "marlow@example.org"):
        verified.clear()
        written: list[str] = []

        def note(_c: Any, _cursor: Any, statement: str, *_rest: Any, into: list[str] = written) -> None:
            if statement.split()[0] in ("INSERT", "UPDATE", "DELETE"):
                into.append(" ".join(statement.split()[:3]))

        visitor = Visitor(app)
        visitor.get("/sign-in")
        event.listen(practice.records, "before_cursor_execute", note)
        answer = visitor.post("/sign-in", email=address, password="not the pass phrase")
        event.remove(practice.records, "before_cursor_execute", note)
        page = answer.get_data(as_text=True).replace(address, "").split("<main")[1].split("csrf_token")[0]
        headers = {name for name, _ in answer.headers}
        seen.append((answer.status_code, page, headers, tuple(verified), sorted(written)))
    assert all(one == seen[0] for one in seen)
    assert seen[0][3] == ("m=47104,t=2,p=1",)


def test_no_failed_sign_in_sends_a_mail(practice: Practice, known: Cast, app: Flask) -> None:
    for address in (JUNIPER, "nobody@example.org"):
        Visitor(app).post("/sign-in", email=address, password="not the pass phrase")
    with known.system(writes=False) as work:
        work.asked = True
        assert work.session.scalars(select(OutboxRow)).all() == []
