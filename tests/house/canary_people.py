"""What is typed where people and their devices are looked after: every word of it is a canary, as in `canary_story`."""

import re
from typing import TYPE_CHECKING

from house.canary import forms_in

if TYPE_CHECKING:
    from house.canary_story import Story


def people_are_looked_after(story: "Story") -> None:
    """A manager's pages, with something odd in every field."""
    manager = story.typist(story.cast.manager)
    place = f"/people/{story.cast.clinician.person_id}"
    for page in ("/people", "/people/new", place, f"{place}/recovery", "/practice/hours"):
        manager.spoil(page)
    texts = story.all("somebody new", "name", "title")
    email = f"{story.canary('somebody new email')}@example.org"
    manager.send("/people/new", 200, email=email, role="staff", unasked=story.canary("unasked"), **texts)


def a_new_way_in_is_given_and_a_device_named(story: "Story") -> None:
    staff, patient = story.typist(story.cast.staff), story.cast.other_patient
    page = staff.send(f"/patients/{patient.record}/recovery", 200, how="voice", note=story.canary("made sure"))
    found = re.search(r"/invitation#([\w-]+)", page.get_data(as_text=True))
    assert found
    story.board.secrets[found[1].encode()] = "the token of a recovery"
    guest = story.stranger()
    guest.send("/invitation/password", 302, token=found[1], password=story.canary("recovered password"))
    guest.keep_secret("the session token of somebody with a new way in")
    page_of_devices = guest.get("/account/devices")
    guest.token = page_of_devices.split('name="csrf_token" value="')[1].split('"')[0]
    guest.spoil("/account/devices")
    (rename,) = (one.action for one in forms_in(page_of_devices, "/account/devices") if one.action.endswith("/name"))
    guest.send(rename, name=story.canary("device name"))
