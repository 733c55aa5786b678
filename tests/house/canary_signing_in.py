"""What is typed where people look after their own sign-in: every word of it is a canary, as in `canary_story`."""

from typing import TYPE_CHECKING

from support.authenticator import Authenticator

from house.canary import forms_in

if TYPE_CHECKING:
    from house.canary_story import Story

HOME = "/account/security"


def ways_in_are_changed(story: "Story") -> None:
    """A passkey is named, an address and a password changed, a sheet made; and a factor asked for on the way."""
    patient, device = story.typist(story.patient), Authenticator()
    for page in (HOME, f"{HOME}/email", f"{HOME}/authenticator", f"{HOME}/passkeys/new", "/step-up"):
        patient.spoil(page)
    asked = patient.open("POST", f"{HOME}/passkeys/options").get_json()
    patient.send(f"{HOME}/passkeys", passkey=device.make(asked), name=story.canary("passkey name"))
    places = [form.action for form in forms_in(patient.get(HOME), HOME)]
    rename = next(one for one in places if one.endswith("/name"))
    patient.send(rename, name=story.canary("passkey renamed"))
    patient.send(f"{HOME}/email", email=f"{story.canary('new email')}@example.org")
    patient.send(f"{HOME}/email", 422, email=story.canary("no email"))
    page = patient.send(f"{HOME}/sheet", 200, unasked=story.canary("sheet unasked")).get_data(as_text=True)
    for line in page.split("<li><code>")[1:]:
        story.board.secrets[line.split("<")[0].encode()] = "a line of a recovery sheet"
    patient.send("/step-up", 422, step_up_password=story.canary("wrong step-up"), kept=story.canary("kept"))
    patient.send(f"{HOME}/password", password=story.canary("new password"))
