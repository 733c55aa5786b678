"""The pages of a visit, from the list to the summary, as each side opens them."""

from collections.abc import Callable

from support.cast import Cast, Client, Member

from telepsych.visits.states import VisitState

from .conftest import ANSWERS, Booked


def test_a_visit_from_the_list_to_the_summary(
    cast: Cast, booked: Booked, client_for: Callable[[Member], Client]
) -> None:
    patient, clinician = client_for(cast.patient), client_for(cast.clinician)
    base = f"/visits/{booked.id}"

    def text(browser: Client, path: str) -> str:
        answer = browser.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.headers.get("Location"))
        return answer.get_data(as_text=True)

    assert "Get ready" in text(patient, "/visits")
    assert "opens 15 minutes before" in text(patient, f"{base}/waiting")
    booked.go_to_start()
    patient, clinician = client_for(cast.patient), client_for(cast.clinician)
    patient.post(f"/check-in/{booked.id}/where", data=ANSWERS["where"])
    patient.post(f"/check-in/{booked.id}/contact", data=ANSWERS["contact"])
    assert "data-again" in text(patient, f"{base}/devices")
    assert "data-again" not in text(patient, f"{base}/devices?join=1")
    assert patient.post(f"{base}/devices", json={"ok": True, "camera": True}).get_json() == {"saved": True}
    assert "Nobody is waiting yet" in text(clinician, f"{base}/door")
    assert 'data-module="visits/waiting"' in text(patient, f"{base}/waiting")
    assert patient.get(f"{base}/state").get_json()["state"] == "waiting"
    assert patient.get(f"{base}/room").headers["Location"].endswith("/waiting")
    assert cast.patient.name in text(clinician, f"{base}/door")
    assert 'data-module="visits/room"' in text(clinician, f"{base}/room")
    assert clinician.post(f"{base}/admit", headers={"X-Fragment": "1"}).status_code == 200
    assert patient.get(f"{base}/state").get_json()["state"] == "admitted"
    assert 'data-module="visits/room"' in text(patient, f"{base}/room")
    today = text(clinician, f"{base}/today")
    assert ANSWERS["where"]["address"] in today
    assert "Sky Example" in today
    assert clinician.post(f"{base}/confirm", data={"identity": "1", "location": "1"}).status_code == 303
    assert " checked" in text(clinician, f"{base}/today")
    assert clinician.post(f"{base}/end").headers["Location"].endswith("/close")
    assert "What we decided" in text(clinician, f"{base}/close")
    assert "over" in text(patient, f"{base}/summary")
    assert clinician.post(f"{base}/close", data={"decisions": "Same dose."}).status_code == 422
    words = {"decisions": "Same dose.", "next_step": "Sleep well.", "whom_to_call": "Call us."}
    assert clinician.post(f"{base}/close", data=words).status_code == 303
    assert booked.row().state is VisitState.SUMMARISED
    assert "Sleep well." in text(patient, f"{base}/summary")
    assert "Summary" in text(patient, "/visits")


def test_a_guardian_prepares_and_sees_whose_it_is(
    cast: Cast, book_for: Callable[[Member], Booked], client_for: Callable[[Member], Client]
) -> None:
    booked = book_for(cast.adolescent)
    guardian = client_for(cast.guardian)
    hub = guardian.get(f"/check-in/{booked.id}").get_data(as_text=True)
    assert "Wren" in hub
    assert "answers this one without you" in hub
    assert guardian.get(f"/check-in/{booked.id}/means").status_code == 403
    assert "Wren" in guardian.get("/visits").get_data(as_text=True)


def test_another_persons_visit_looks_like_none(
    cast: Cast, booked: Booked, client_for: Callable[[Member], Client]
) -> None:
    other = client_for(cast.other_patient)
    for path in (f"/check-in/{booked.id}", f"/check-in/{booked.id}/where", f"/visits/{booked.id}/waiting"):
        assert other.get(path).status_code == 404
    assert other.get("/check-in/nonsense").status_code == 404
