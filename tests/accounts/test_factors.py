"""What people set up to sign in with: only with a fresh factor, never without a way in, and told about every change."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import pyotp
import pytest
from flask import Flask
from sqlalchemy import select
from support.authenticator import Authenticator
from support.cast import Cast, Client, Member

from accounts.test_passkey_answers import HERE, Door
from accounts.test_sign_in import PASSWORD, SEED, Visitor, code, email, seed_on
from telepsych.accounts import emails, factors, step_up, totp
from telepsych.accounts import service as accounts
from telepsych.accounts.factors import Factors
from telepsych.accounts.models import FactorKind, Person
from telepsych.accounts.passkeys import Made
from telepsych.core.clock import HOUR, MINUTE, SECOND
from telepsych.core.errors import Conflict, Invalid, NotFound, Refused, StepUpNeeded
from telepsych.core.work import Practice, Work
from telepsych.notifications.jobs import deliver
from telepsych.notifications.models import OutboxRow
from telepsych.web import sessions
from telepsych.web.models import SignInSession

ClientFor = Callable[[Member], Client]
NEW = "seven quiet rivers of tin"
STALE = 5 * MINUTE


def own(cast: Cast, who: Member) -> Factors:
    with cast.begin(who, writes=False) as work:
        return factors.factors_of(work, who.person_id)


def notices(cast: Cast, who: Member) -> list[str]:
    with cast.system(writes=False) as work:
        work.asked = True
        return [row.kind for row in work.session.scalars(select(OutboxRow)) if row.person_id == who.person_id]


def kept_fields(page: str) -> dict[str, str]:
    """The hidden fields of the form that asks for the password."""
    form = page.split('action="/step-up"')[-1].split("</form>")[0]
    return {name: unescape(text) for name, text in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form)}


# A17: nothing that guards an account moves without a fresh factor

ACTS: dict[str, Callable[[Work], object]] = {
    "factors.change_password": lambda work: factors.change_password(work, "a hash"),
    "factors.offer_passkey": lambda work: factors.offer_passkey(work, HERE),
    "factors.add_passkey": lambda work: factors.add_passkey(work, Made(bytes(32), 0, {}), "Mine"),
    "factors.remove_passkey": lambda work: factors.remove_passkey(work, uuid4()),
    "factors.offer_authenticator": factors.offer_authenticator,
    "factors.replace_authenticator": lambda work: factors.replace_authenticator(work, "000000"),
    "factors.remove_authenticator": factors.remove_authenticator,
    "factors.new_sheet": factors.new_sheet,
    "emails.change": lambda work: emails.change(work, "new@example.org"),
}
PAGES = (
    ("GET", "/passkeys/new"),
    ("POST", "/passkeys/options"),
    ("POST", "/passkeys"),
    ("POST", f"/passkeys/{UUID(int=7)}/remove"),
    ("POST", "/password"),
    ("GET", "/authenticator"),
    ("POST", "/authenticator"),
    ("POST", "/authenticator/remove"),
    ("POST", "/sheet"),
    ("POST", "/email"),
)
"""Every page of /account/security that changes something or shows a secret; renaming a passkey does neither."""


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_an_act_with_a_stale_session_is_refused(cast: Cast, act: Callable[[Work], object]) -> None:
    for who in (cast.patient, cast.clinician):
        with pytest.raises(StepUpNeeded), cast.begin(who) as work:
            act(work)


def test_a_page_with_a_stale_session_asks_for_a_factor(
    app: Flask, practice: Practice, known: Cast, client_for: ClientFor
) -> None:
    listed = {(method, path.replace(str(UUID(int=7)), "<factor_id>")) for method, path in PAGES}
    mine = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/account/security/")]
    there = {
        (method, rule.rule.removeprefix("/account/security"))
        for rule in mine
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    open_ones = {("GET", "/welcome"), ("GET", "/sheet"), ("GET", "/email"), ("POST", "/passkeys/<factor_id>/name")}
    assert there == listed | open_ones, "a new page says whether it asks for a fresh factor"
    client = client_for(known.patient)
    practice.clock.move(STALE)
    for method, path in PAGES:
        answer = client.http.open(f"/account/security{path}", method=method, headers={"X-CSRF-Token": client.token})
        if method == "GET":
            assert (answer.status_code, answer.location) == (303, f"/step-up?next=/account/security{path}")
        else:
            assert answer.status_code == 403
            assert "Confirm that it is you" in answer.get_data(as_text=True), path
    answer = client.post("/account/security/sheet", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.get_json()["type"]) == (403, "about:blank#step-up-needed")


# Showing a fresh factor


def test_a_form_is_kept_and_goes_on_after_the_factor(practice: Practice, known: Cast, client_for: ClientFor) -> None:
    client = client_for(known.patient)
    before = client.http.get_cookie("telepsych-session").value  # type: ignore[union-attr]
    practice.clock.move(STALE)
    typed = {"email": "new@example.org", "note": ['one "quoted"', "two"], "csrf_token": client.token}
    page = client.http.post("/account/security/email?from=here", data=typed).get_data(as_text=True)
    fields = kept_fields(page)
    assert fields["step_up_target"] == "/account/security/email?from=here"
    assert (fields["email"], page.count('name="note"')) == ("new@example.org", 2)

    wrong = client.http.post("/step-up", data=fields | {"step_up_password": "not this one"})
    assert wrong.status_code == 422
    assert kept_fields(wrong.get_data(as_text=True)) == fields
    whole = fields | {"step_up_password": PASSWORD}
    right = client.http.post("/step-up", data=whole)
    assert (right.status_code, right.location) == (307, fields["step_up_target"]), "a browser sends it all once more"
    done = client.http.post(right.location, data=whole)
    assert (done.status_code, done.location) == (303, "/account/security")
    with known.system(writes=False) as work:
        work.asked = True
        assert work.session.get_one(Person, known.patient.person_id).email == "new@example.org"
    client.http.set_cookie("telepsych-session", before)
    assert client.get("/account/security").status_code == 302, "the old id is worth nothing (A5)"


def test_a_new_id_keeps_open_pages_and_the_end_of_the_day(
    practice: Practice, known: Cast, client_for: ClientFor
) -> None:
    client = client_for(known.clinician)
    for _ in range(3):
        practice.clock.move(10 * MINUTE)
        fields = {"step_up_password": PASSWORD, "step_up_code": code(practice), "step_up_next": "/account/security"}
        assert client.post("/step-up", fields).location == "/account/security"
    assert client.post("/api/session/extend").status_code == 200, "the token of a page from before is good"
    with known.system(writes=False) as work:
        work.asked = True
        rows = work.session.scalars(select(SignInSession).where(SignInSession.person_id == known.clinician.person_id))
        chain = sorted(rows, key=lambda row: row.seen_at)
    assert len({row.chain for row in chain}) == 1
    assert len({row.started_at for row in chain}) == 1
    assert [row.ended_at is None for row in chain] == [False, False, False, True]


def test_a_code_and_a_password_are_both_needed_where_both_are_set_up(
    practice: Practice, known: Cast, client_for: ClientFor
) -> None:
    client = client_for(known.clinician)
    now = code(practice)
    for password, digits in ((PASSWORD, ""), (PASSWORD, "000000"), ("wrong", now)):
        answer = client.post("/step-up", {"step_up_password": password, "step_up_code": digits})
        assert answer.status_code == 422
    assert client.post("/step-up", {"step_up_password": PASSWORD, "step_up_code": now}).status_code == 303
    again = client.post("/step-up", {"step_up_password": PASSWORD, "step_up_code": now})
    assert again.status_code == 422, "each code works once"


def test_a_passkey_of_ones_own_is_shown_again(practice: Practice, known: Cast) -> None:
    door = Door(practice, known, known.patient).register()
    other = Door(practice, known, known.other_patient).register()
    with known.system() as work:
        work.audited = True
        person = work.session.get_one(Person, known.patient.person_id)
        row, _token = sessions.start(work, person.id, person.epoch, workforce=False, device="a test")
        work.asked = True
    with known.practice.begin(known.patient.actor(), writes=False) as work:
        work.asked = True
        actor = accounts.actor_of(work, known.patient.person_id, row.id)

    def options() -> str:
        with practice.begin(actor) as work:
            return step_up.passkey_options(work, HERE)

    with pytest.raises(Invalid):
        step_up.with_passkey(practice, actor, HERE, other.device.show(options()))
    with pytest.raises(Invalid):
        step_up.with_passkey(practice, actor, HERE, door.device.show(door.asked()))  # asked at the front door
    assert step_up.with_passkey(practice, actor, HERE, door.device.show(options()))


# Changing what one has


def test_the_password_changes_and_every_other_device_is_out(known: Cast, client_for: ClientFor, app: Flask) -> None:
    here, there = client_for(known.patient), client_for(known.patient)
    for weak in ("short", "juniper example 1992", "password12345678"):
        assert here.post("/account/security/password", {"password": weak}).status_code == 422
    assert here.post("/account/security/password", {"password": NEW}).status_code == 303
    assert here.get("/account/security").status_code == 200
    assert there.get("/account/security").status_code == 302
    assert "sign-in-changed" in notices(known, known.patient)
    for password, status in ((PASSWORD, 422), (NEW, 302)):
        assert Visitor(app).post("/sign-in", email=email(known.patient), password=password).status_code == status


def test_the_last_second_factor_of_who_works_here_stays(practice: Practice, known: Cast, client_for: ClientFor) -> None:
    client, door = client_for(known.clinician), Door(practice, known, known.clinician)
    assert client.post("/account/security/authenticator/remove").status_code == 409
    door.register()
    assert client.post("/account/security/authenticator/remove").status_code == 303
    (passkey,) = own(known, known.clinician).passkeys
    place = f"/account/security/passkeys/{passkey.id}"
    assert client.post(f"{place}/remove").status_code == 409
    Door(practice, known, known.clinician).register()
    assert client.post(f"{place}/remove").status_code == 303
    assert client.post(f"{place}/remove").status_code == 404
    assert own(known, known.clinician).has_second


def test_a_patient_may_go_back_to_a_password_and_never_loses_the_last_way_in(
    practice: Practice, known: Cast, client_for: ClientFor
) -> None:
    client = client_for(known.patient)
    Door(practice, known, known.patient).register()
    (passkey,) = own(known, known.patient).passkeys
    assert client.post(f"/account/security/passkeys/{passkey.id}/remove").status_code == 303
    only = Door(practice, known, known.other_patient).register()
    with pytest.raises(Conflict), known.begin(known.other_patient, fresh=True) as work:
        factors.remove_passkey(work, own(known, known.other_patient).passkeys[0].id)
    assert only.kept()


def test_a_passkey_is_renamed_by_its_owner_only(practice: Practice, known: Cast, client_for: ClientFor) -> None:
    Door(practice, known, known.patient).register()
    (passkey,) = own(known, known.patient).passkeys
    place = f"/account/security/passkeys/{passkey.id}/name"
    assert client_for(known.other_patient).post(place, {"name": "Theirs"}).status_code == 404
    client = client_for(known.patient)
    wrong = client.post(place, {"name": "x" * 61})
    assert (wrong.status_code, "x" * 61 in wrong.get_data(as_text=True)) == (422, True)
    assert client.post(place, {"name": " My  blue phone "}).status_code == 303
    assert "My blue phone" in client.get("/account/security").get_data(as_text=True)
    with pytest.raises(NotFound), known.begin(known.other_patient, fresh=True) as work:
        factors.remove_passkey(work, passkey.id)


def test_an_authenticator_is_replaced_with_the_first_code_of_the_new_one(
    practice: Practice, known: Cast, client_for: ClientFor
) -> None:
    client = client_for(known.clinician)
    seed = seed_on(client.get("/account/security/authenticator").get_data(as_text=True))
    assert seed != SEED
    assert client.post("/account/security/authenticator", {"code": code(practice)}).status_code == 422
    with known.system(writes=False) as work:
        work.asked = True
        assert totp.confirmed(work, known.clinician.person_id).secret == SEED  # type: ignore[union-attr]
    first = pyotp.TOTP(seed).at(practice.clock.now() // SECOND)
    assert client.post("/account/security/authenticator", {"code": first}).status_code == 303
    with known.system(writes=False) as work:
        work.asked = True
        assert totp.confirmed(work, known.clinician.person_id).secret == seed  # type: ignore[union-attr]
    assert client.post("/account/security/authenticator", {"code": first}).status_code == 422


def test_a_seed_that_nobody_confirms_is_thrown_away(practice: Practice, known: Cast, client_for: ClientFor) -> None:
    client = client_for(known.patient)
    seed = seed_on(client.get("/account/security/authenticator").get_data(as_text=True))
    with known.begin(known.patient, fresh=True) as work:
        assert factors.offer_authenticator(work) == seed
    practice.clock.move(totp.WAITS)
    late = pyotp.TOTP(seed).at(practice.clock.now() // SECOND)
    with pytest.raises(Invalid), known.begin(known.patient, fresh=True) as work:
        factors.replace_authenticator(work, late)
    with known.begin(known.patient, fresh=True) as work:
        assert factors.offer_authenticator(work) != seed


# When something is lost


def test_a_line_of_the_sheet_leads_to_a_new_second_factor(
    practice: Practice, known: Cast, client_for: ClientFor, app: Flask
) -> None:
    page = client_for(known.clinician).post("/account/security/sheet").get_data(as_text=True)
    lines = re.findall(r"<li><code>([a-z2-7-]+)</code></li>", page)
    assert (len(lines), len(set(lines)), {len(line.replace("-", "")) for line in lines}) == (10, 10, {26})
    door = Door(practice, known, known.clinician).register()

    visitor = Visitor(app)
    visitor.post("/sign-in", email=email(known.clinician), password=PASSWORD)
    assert "A line from your recovery sheet" in visitor.get("/sign-in/code").get_data(as_text=True)
    assert visitor.post("/sign-in/recovery", line="abcde-fghij").status_code == 422
    typed = f" {lines[3].upper().replace('-', ' ')} "
    assert visitor.post("/sign-in/recovery", line=typed).location == "/sign-in/authenticator"
    assert visitor.get("/inbox").status_code == 302, "nothing opens before there is a new second factor"
    with pytest.raises(Invalid):
        door.enter(door.device.show(door.asked()))
    assert own(known, known.clinician).authenticator_since is None
    assert "line-used" in notices(known, known.clinician)

    seed = seed_on(visitor.get("/sign-in/authenticator").get_data(as_text=True))
    first = pyotp.TOTP(seed).at(practice.clock.now() // SECOND)
    assert visitor.post("/sign-in/authenticator", code=first).location == "/account/security/sheet"
    assert visitor.get("/inbox").status_code == 200
    assert own(known, known.clinician).lines_left == 9

    later = Visitor(app)
    later.post("/sign-in", email=email(known.clinician), password=PASSWORD)
    assert later.post("/sign-in/recovery", line=lines[3]).status_code == 422, "each line works once"
    client_for(known.clinician).post("/account/security/sheet")
    assert later.post("/sign-in/recovery", line=lines[4]).status_code == 422, "a new sheet ends the old one"


def test_a_patient_who_used_a_line_and_stopped_there_sets_a_second_factor_up_next_time(
    practice: Practice, known: Cast, app: Flask
) -> None:
    with known.system() as work:
        factors.set_totp(work, work.session.get_one(Person, known.patient.person_id), SEED)
    practice.clock.move(MINUTE)
    with known.begin(known.patient, fresh=True) as work:
        line = factors.new_sheet(work)[0]
    who = {"email": email(known.patient), "password": PASSWORD}
    lost = Visitor(app)
    assert lost.post("/sign-in", **who).location == "/sign-in/code"
    assert lost.post("/sign-in/recovery", line=line).location == "/sign-in/authenticator"
    visitor = Visitor(app)
    assert visitor.post("/sign-in", **who).location == "/sign-in/authenticator"
    assert visitor.get("/messages").status_code == 302, "the password alone opens nothing"
    seed = seed_on(visitor.get("/sign-in/authenticator").get_data(as_text=True))
    visitor.post("/sign-in/authenticator", code=pyotp.TOTP(seed).at(practice.clock.now() // SECOND))
    assert visitor.get("/messages").status_code == 200
    with known.begin(known.patient, fresh=True) as work:
        factors.remove_authenticator(work)
    assert Visitor(app).post("/sign-in", **who).location == "/", "it was set up once; taking it away is theirs to do"


def test_half_a_sign_in_adds_nothing_to_what_is_there(practice: Practice, known: Cast, app: Flask) -> None:
    """Whoever knows a password alone cannot add a factor of their own."""
    visitor = Visitor(app)
    visitor.post("/sign-in", email=email(known.clinician), password=PASSWORD)
    assert visitor.get("/sign-in/authenticator").status_code == 302
    assert visitor.post("/sign-in/authenticator", code="000000").status_code == 403
    assert visitor.post("/sign-in/authenticator/passkey/options").status_code == 403
    assert visitor.post("/account/security/sheet").status_code == 302
    assert own(known, known.clinician).passkeys == ()


def test_the_first_second_factor_may_be_a_passkey(known: Cast, app: Flask) -> None:
    visitor, device = Visitor(app), Authenticator()
    visitor.post("/sign-in", email=email(known.staff), password=PASSWORD)
    asked = visitor.post("/sign-in/authenticator/passkey/options").get_json()
    done = visitor.post("/sign-in/authenticator/passkey", passkey=device.make(asked))
    assert done.location == "/account/security/sheet"
    assert visitor.get("/inbox").status_code == 200
    again = Visitor(app)
    place = again.post("/sign-in", email=email(known.staff), password=PASSWORD).location
    assert place == "/sign-in/code", "and is asked for after the password"


# The address


def test_the_address_changes_and_the_old_one_is_told(
    practice: Practice, known: Cast, client_for: ClientFor, app: Flask
) -> None:
    sent: list[Any] = []

    class Channel:
        def send(self, letter: Any, name: str) -> None:
            sent.append((letter["To"], letter["Subject"]))

    client = client_for(known.patient)
    assert client.post("/account/security/email", {"email": "Elsewhere@example.org"}).status_code == 303
    deliver(practice, Channel())
    assert [to for to, subject in sent if "address was changed" in subject] == ["juniper@example.org"]
    for address, status in (("juniper@example.org", 422), ("elsewhere@example.org", 302)):
        assert Visitor(app).post("/sign-in", email=address, password=PASSWORD).status_code == status


def test_no_address_tells_why_it_cannot_be_used_and_few_are_tried(
    practice: Practice, known: Cast, client_for: ClientFor
) -> None:
    """That somebody else has it and that two people may not share it look alike."""
    guardian = client_for(known.guardian)
    said = set()
    for address in (email(known.clinician), email(known.adolescent)):
        answer = guardian.post("/account/security/email", {"email": address})
        said.add((answer.status_code, answer.get_data(as_text=True).count("We can&#39;t use this address for you")))
    assert said == {(422, 2)}
    tried = [guardian.post("/account/security/email", {"email": email(known.staff)}).status_code for _ in range(5)]
    assert tried[-1] == 429
    practice.clock.move(HOUR)
    with known.begin(known.guardian, writes=False) as work:
        work.asked = True
        assert emails.former_address(work, known.guardian.person_id) == ""


def test_who_looks_after_people_ends_every_way_in(known: Cast) -> None:
    with known.begin(known.staff) as work:
        factors.end_all_factors(work, known.patient.person_id)
    with known.begin(known.staff, writes=False) as work:
        left = factors.factors_of(work, known.patient.person_id)
    assert (left.password_since, left.has_second, left.lines_left) == (None, False, 0)
    for who, whom in ((known.staff, known.clinician), (known.patient, known.patient), (known.clinician, known.patient)):
        with pytest.raises(Refused), known.begin(who) as work:
            factors.end_all_factors(work, whom.person_id)
    with known.system(writes=False) as work:
        work.asked = True
        assert factors.has_factor(work, known.clinician.person_id, FactorKind.TOTP)
