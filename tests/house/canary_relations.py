"""The part of the story about those who act for a patient, their teams and supporters."""

from typing import TYPE_CHECKING

from house.canary import forms_in

if TYPE_CHECKING:
    from house.canary_story import Story


def a_proxy_is_entered(story: "Story") -> None:
    """Somebody acts for the patient, is suspended, comes back, shows another document and ends."""
    manager, place = story.typist(story.cast.manager), f"/patients/{story.patient.record}/proxies"
    manager.spoil(f"{place}/new")
    email, texts = f"{story.canary('proxy email')}@example.org", ("name", "phone", "document", "identity")
    manager.send(f"{place}/new", email=email, authority="conservator", **story.all("proxy", *texts))
    actions = [form.action for form in forms_in(manager.get(place), place)]
    proxy = next(one for one in actions if one.endswith("/invitation")).removesuffix("/invitation")
    extra = {"unasked": story.canary("proxy unasked")}
    manager.send(f"{proxy}/invitation", 200, **extra)
    manager.send(f"{proxy}/suspension", why=story.canary("proxy why"), **extra)
    manager.get(place)
    manager.send(f"{proxy}/resumption", **extra)
    manager.spoil(f"{proxy}/renewal")
    manager.send(f"{proxy}/renewal", document=story.canary("proxy renewed"))
    other = f"{story.canary('other email')}@example.org"
    manager.send(f"{place}/new", email=other, authority="conservator", **story.all("other proxy", "name", "document"))
    manager.spoil(place)
    manager.send(f"{proxy}/identity", 404, identity=story.canary("proxy ended"))


def a_supporter_is_asked_for(story: "Story") -> None:
    """The patient asks, changes their mind, asks again; staff let the person in; the patient takes it back."""
    patient, manager = story.typist(story.patient), story.typist(story.cast.manager)
    page, place = f"/records/{story.patient.record}/supporters", f"/patients/{story.patient.record}/proxies"
    patient.spoil(page)
    wish, extra = ("name", "contact", "relationship"), {"unasked": story.canary("supporter unasked")}
    for _time in range(3):
        patient.send(page, parts="visits", **story.all("supporter", *wish))
    asked = [form.action for form in forms_in(patient.get(page), page) if form.action.endswith("/withdrawal")]
    patient.send(asked[0], **extra)
    manager.spoil(place)
    actions = [form.action for form in forms_in(manager.get(place), place) if "/supporters/" in form.action]
    email, texts = f"{story.canary('supporter email')}@example.org", ("name", "phone", "identity")
    manager.send(actions[0], email=email, **story.all("appointed", *texts))
    manager.send(next(one for one in actions[2:] if one.endswith("/decline")), **extra)
    ends = [form.action for form in forms_in(patient.get(page), page) if form.action.endswith("/end")]
    patient.send(ends[0], **extra)
    patient.get(f"/records/{story.patient.record}/sight")


def teams_are_looked_after(story: "Story") -> None:
    """Teams come and go; what was typed into a date is no date."""
    story.typist(story.cast.manager).spoil(f"/patients/{story.patient.record}/teams")
