"""What works once works once, however many ask at the same moment (A9): a hundred at a time, on both databases."""

import threading
from collections.abc import Callable

import pyotp
import pytest
from support.cast import Cast

from accounts.test_passkey_answers import HERE, Door
from accounts.test_sign_in import SEED
from telepsych.accounts import challenges, factors, guesses, sign_in, step_up
from telepsych.accounts import service as accounts
from telepsych.accounts.guesses import Budget, Kind
from telepsych.accounts.models import ChallengeUse, Person
from telepsych.core.clock import SECOND
from telepsych.core.errors import Invalid, TelepsychError
from telepsych.core.work import Practice
from telepsych.web import sessions
from telepsych.web.models import SignInSession, Stage

AT_ONCE = 100


@pytest.fixture(autouse=True)
def patient_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits on guessing would refuse most of a hundred before they came to the code."""
    monkeypatch.setitem(guesses.BUDGETS, Kind.CODE, Budget(10 * AT_ONCE, SECOND))


def race(act: Callable[[int], object]) -> list[object]:
    """What a hundred simultaneous calls came to; expected refusals aside."""
    done: list[object] = []
    odd: list[BaseException] = []
    ready = threading.Barrier(AT_ONCE)

    def run(number: int) -> None:
        ready.wait()
        try:
            done.append(act(number))
        except Invalid:
            pass
        except BaseException as error:
            odd.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [error for error in odd if not isinstance(error, TelepsychError)] == []
    assert {type(error).__name__ for error in odd} <= {"Unavailable"}, "a turn may not come in time; it never counts"
    return done


def half(cast: Cast) -> SignInSession:
    """A half-finished sign-in of the clinician."""
    with cast.system() as work:
        work.audited = work.asked = True
        person = work.session.get_one(Person, cast.clinician.person_id)
        return sessions.start(work, person.id, person.epoch, workforce=True, device="", stage=Stage.HALF)[0]


def test_one_code_signs_one_in(practice: Practice, known: Cast) -> None:
    rows = [half(known) for _ in range(4)]
    now = pyotp.TOTP(SEED).at(practice.clock.now() // SECOND)
    done = race(lambda number: sign_in.with_code(practice, rows[number % 4], now, device=""))
    assert len(done) == 1


def test_one_line_of_a_sheet_lets_one_in(practice: Practice, known: Cast) -> None:
    with known.begin(known.clinician, fresh=True) as work:
        lines = factors.new_sheet(work)
    row = half(known)
    assert len(race(lambda _number: sign_in.with_line(practice, row, lines[0], device=""))) == 1


def test_one_answer_of_a_passkey_signs_one_in(practice: Practice, known: Cast) -> None:
    door = Door(practice, known, known.clinician).register()
    answer = door.device.show(door.asked())
    assert len(race(lambda _number: door.enter(answer))) == 1


def test_one_challenge_is_used_by_one(practice: Practice, known: Cast) -> None:
    with known.system() as work:
        work.asked = True
        challenge = challenges.issue(work, ChallengeUse.SIGN_IN, HERE.bound_to)

    def use(_number: int) -> object:
        with known.system() as work:
            work.asked = True
            if not challenges.use_up(work, challenge, ChallengeUse.SIGN_IN, HERE.bound_to):
                raise Invalid
        return True

    assert len(race(use)) == 1


def test_one_passkey_steps_up_one_session_once(practice: Practice, known: Cast) -> None:
    door = Door(practice, known, known.patient).register()
    with known.system() as work:
        work.audited = work.asked = True
        person = work.session.get_one(Person, known.patient.person_id)
        row, _token = sessions.start(work, person.id, person.epoch, workforce=False, device="")
        actor = accounts.actor_of(work, person.id, row.id)
    with practice.begin(actor) as work:
        asked = step_up.passkey_options(work, HERE)
    answer = door.device.show(asked)
    assert len(race(lambda _number: step_up.with_passkey(practice, actor, HERE, answer))) == 1
