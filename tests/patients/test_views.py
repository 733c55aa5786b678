"""Staff's pages about patients, and the invitation command."""

import re
from collections.abc import Callable
from datetime import date

import pytest
from support.cast import Cast, Client, Member

from telepsych.accounts import invitations
from telepsych.core.actor import Actor
from telepsych.core.clock import MINUTE
from telepsych.core.errors import Invalid
from telepsych.patients.commands import make_invitation

ClientFor = Callable[[Member], Client]
FORM = {
    "name": "Aspen Specimen",
    "preferred_name": "Asp",
    "birth_date": "1990-05-06",
    "pronouns": "they/them",
    "email": "aspen@example.org",
    "phone": "(203) 555-0177",
}


def test_staff_find_patients_by_name_and_birth_date(cast: Cast, client_for: ClientFor) -> None:
    client = client_for(cast.staff)
    assert all(who.name in client.get("/patients").text for who in (cast.patient, cast.other_patient))
    for text in ("juni", "3/14/1992", "1992-03-14"):
        page = client.post("/patients", {"text": text}).text
        assert cast.patient.name in page
        assert cast.other_patient.name not in page
    assert "Nobody fits" in client.post("/patients", {"text": "zzz"}).text


def test_another_team_sees_no_patients_and_patients_see_no_list(cast: Cast, client_for: ClientFor) -> None:
    assert cast.patient.name not in client_for(cast.stranger).get("/patients").text
    assert client_for(cast.patient).get("/patients").status_code == 403


def test_staff_take_a_patient_in_and_hand_over_an_invitation_once(cast: Cast, client_for: ClientFor) -> None:
    client = client_for(cast.staff)
    assert client.get("/patients/new").status_code == 200
    made = client.post("/patients/new", FORM)
    assert made.status_code == 303
    page = client.post(f"{made.location}/invitation").text
    links = re.findall(r'([^">\s]*/invitation#[^"<\s]+)', page)
    assert len(links) == 1
    nobody = Actor(id=None, label="public:invitation")
    with cast.practice.begin(nobody, writes=False, public="invitation") as work:
        assert invitations.look_up(work, links[0].partition("#")[2]).email == "aspen@example.org"


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"birth_date": ""}, {"birth_date": "2030-01-01"}, {"email": "nope"}, {"birth_date": "2020-02-29"},
     {"email": "juniper@example.org"}],
)  # fmt: skip
def test_the_form_keeps_what_was_typed(cast: Cast, client_for: ClientFor, wrong: dict[str, str]) -> None:
    answer = client_for(cast.staff).post("/patients/new", FORM | wrong)
    assert answer.status_code == 422
    assert "they/them" in answer.text


def test_staff_add_invite_and_end_a_guardian(cast: Cast, client_for: ClientFor) -> None:
    client, base = client_for(cast.staff), f"/patients/{cast.adolescent.record}/proxies"
    other = f"/patients/{cast.patient.record}/proxies"
    form = {"name": "Linden Example", "email": "linden@example.org", "authority": "parent", "document": "ID seen"}
    assert client.get(f"{base}/new").status_code == 200
    assert client.post(f"{base}/new", form | {"document": ""}).status_code == 422
    assert client.post(f"{base}/new", form | {"authority": "friend"}).status_code == 422
    assert client.post(f"{base}/new", form | {"email": "wren@example.org"}).status_code == 422
    assert client.post(f"{base}/new", form | {"authority": "conservator"}).status_code == 422
    assert client.post(f"{base}/new", form | {"authority": "supporter"}).status_code == 422
    assert client.post(f"{base}/new", form | {"until": "2020-01-01"}).status_code == 422
    assert client.post(f"{base}/new", form).status_code == 303
    page = client.get(base).text
    (proxy,) = re.findall(r'id="proxy-([^"]+)"[^>]*>\s*<div class="card__head"><h2[^>]*>Linden', page)
    assert "invitation#" in client.post(f"{base}/{proxy}/invitation").text
    assert client_for(cast.stranger).get(base).status_code == 403
    assert client.post(f"{base}/{proxy}/identity", {"identity": ""}).status_code == 422
    assert client.post(f"{base}/{proxy}/identity", {"identity": "Photo ID seen"}).status_code == 303
    for act in ("invitation", "identity", "suspension", "resumption", "end", "renewal"):
        assert client.post(f"{other}/{proxy}/{act}", {"identity": "x", "document": "x"}).status_code == 404
    assert client.post(f"{base}/{proxy}/suspension", {"why": "A court order"}).status_code == 303
    assert client.post(f"{base}/{proxy}/invitation").status_code == 404
    assert "A court order" in client.get(base).text
    assert client.post(f"{base}/{proxy}/resumption").status_code == 303
    assert client.get(f"{base}/{proxy}/renewal").status_code == 200
    assert client.post(f"{base}/{proxy}/renewal", {"document": ""}).status_code == 422
    assert client.post(f"{base}/{proxy}/renewal", {"document": "New order", "until": "2027-06-01"}).status_code == 303
    assert client.post(f"{base}/{proxy}/end").status_code == 303
    assert client.post(f"{base}/{proxy}/resumption").status_code == 404
    cast.practice.clock.move(6 * MINUTE)  # type: ignore[attr-defined]
    assert "confirm" in client.post(f"{base}/new", form | {"email": "fir@example.org"}).text.casefold()


def test_foreign_patients_are_not_there(cast: Cast, client_for: ClientFor) -> None:
    made = make_invitation(cast.practice, "sorrel@example.org", "Sorrel Sample", date(1980, 1, 1))
    assert made[1]
    for path in ("invitation", "proxies/new"):
        assert client_for(cast.clinician).post(f"/patients/{cast.patient.record}/{path}").status_code == 403
    assert client_for(cast.staff).post("/patients/00000000-0000-0000-0000-000000000000/invitation").status_code == 404


def test_the_command_takes_in_and_invites_and_invites_again(cast: Cast) -> None:
    first = make_invitation(cast.practice, "sorrel@example.org", "Sorrel Sample", date(1980, 1, 1))
    again = make_invitation(cast.practice, "sorrel@example.org", "", None)
    assert first[0] == again[0]
    assert first[1] != again[1]
    with pytest.raises(Invalid):
        make_invitation(cast.practice, "nobody@example.org", "Nobody", None)
