"""What every page may use: words, dates in the practice's zone, built files, who is asking, and the way around."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import quote
from uuid import UUID

from flask import Blueprint, Flask, Response, current_app, request, send_from_directory
from jinja2 import StrictUndefined

from telepsych.core import words
from telepsych.core.actor import Actor, Decision, Relation, Role
from telepsych.core.errors import NotFound
from telepsych.core.words import gettext
from telepsych.web import assets, charts, dates, drafts, phrases
from telepsych.web.csrf import csrf_token
from telepsych.web.doors import begin, in_view, practice, public, visitor
from telepsych.web.headers import csp_nonce

Count = Callable[[Actor], Mapping[str, int]]
NameOf = Callable[[Actor], str]
OpenBoxes = Callable[[Actor], Sequence[Any]]
NamesOf = Callable[[Actor, Collection[UUID]], Sequence[str]]

HASHED = re.compile(r"[\w.-]+-[A-Z0-9]{8}\.(?:js|css|woff2|svg|png|txt)")
FOR_EVER = "public, max-age=31536000, immutable"


class StripPart(Protocol):
    """A piece of the crisis strip: words, or a link."""

    @property
    def text(self) -> str: ...
    @property
    def href(self) -> str | None: ...


class Missing(StrictUndefined):
    """A name the page was not given: false when asked, an error when shown."""

    def __bool__(self) -> bool:  # type: ignore[override]
        return False


@dataclass(frozen=True, slots=True)
class Place:
    """A destination in the navigation."""

    key: str
    label: str
    href: str
    icon: str
    count: int = 0


@dataclass(frozen=True)
class Me:
    """Who is asking, as pages need it."""

    actor: Actor
    is_signed_in: bool
    name_of: NameOf | None = None

    @property
    def is_workforce(self) -> bool:
        return self.actor.is_workforce

    @cached_property
    def name(self) -> str:
        return self.name_of(self.actor) if self.name_of and self.is_signed_in else ""

    def has(self, *roles: str) -> bool:
        """Whether the person holds one of these roles, given by name."""
        return self.actor.has(*(Role(name) for name in roles))


class Frame:
    """What surrounds a page: the strip, the navigation and who is asking."""

    def __init__(
        self,
        strip: Iterable[StripPart],
        navigation: Count | None,
        name_of: NameOf | None,
        emergency_access: OpenBoxes | None = None,
        names_of: NamesOf | None = None,
    ) -> None:
        self.strip = tuple(strip)
        self.count = navigation
        self.name_of = name_of
        self.emergency_access = emergency_access
        self.names_of = names_of

    def context(self) -> dict[str, Any]:
        """Names every template knows."""
        who = visitor()
        settings = practice.settings
        me = Me(who.actor, who.is_signed_in, self.name_of)
        return {
            "me": me,
            "language": "en",
            "theme": _theme(),
            "crisis_strip": self.strip,
            "practice_name": settings.practice_name,
            "practice_phone": phrases.phone(settings.practice_phone),
            "practice_zone": lambda: dates.zone(practice.clock.now()),
            "idle_seconds": settings.staff_idle if me.is_workforce else settings.patient_idle,
            "owner": _owner(who.actor),
            "script_words": script_words,
            "places": lambda: self.places(me),
            "account_places": lambda: account_places(me),
            "here": _here(),
            "emergency_access": lambda: self.boxes(me.actor),
            "whose": lambda: self.whose(me),
        }

    def boxes(self, actor: Actor) -> Sequence[Any]:
        """The records that this person has open in an emergency."""
        held = any(tie.relation is Relation.BREAK_GLASS for tie in actor.ties)
        return self.emergency_access(actor) if held and self.emergency_access else ()

    def whose(self, me: Me) -> Sequence[str]:
        """Whose record is before somebody who acts for others: of all patients whose data the page has read, those who
        are not the reader. A page that has read nobody's names everyone they act for, unless they are at home here
        in their own right as well."""
        others = {tie.patient_id for tie in me.actor.ties if tie.relation in (Relation.PROXY, Relation.SUPPORTER)}
        seen = in_view()
        about = others & seen
        if not about and (seen or me.is_workforce or any(tie.relation is Relation.SELF for tie in me.actor.ties)):
            return ()
        return self.names_of(me.actor, about or others) if others and self.names_of else ()

    def places(self, me: Me) -> list[Place]:
        """The destinations open to this person, the staff's with what waits behind them."""
        if not me.is_workforce:
            only_supports = me.actor.ties and all(tie.relation is Relation.SUPPORTER for tie in me.actor.ties)
            return patient_places()[:1] if only_supports else patient_places()
        counts = self.count(me.actor) if self.count else {}
        return staff_places(me, counts)


def install(
    app: Flask,
    *,
    strip: Iterable[StripPart] = (),
    navigation: Count | None = None,
    name_of: NameOf | None = None,
    emergency_access: OpenBoxes | None = None,
    names_of: NamesOf | None = None,
) -> None:
    """Give the app's pages what they need.

    `navigation` answers how much waits behind a destination, by its key. `name_of` answers the person's own name.
    `emergency_access` answers the records that they have open in an emergency. Pages that show them ask.
    """
    frame = Frame(strip, navigation, name_of, emergency_access, names_of)
    environment = app.jinja_env
    environment.undefined = Missing
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.add_extension("jinja2.ext.i18n")
    environment.add_extension("jinja2.ext.do")
    environment.install_gettext_callables(words.gettext, words.ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.globals.update(
        csrf_token=csrf_token, csp_nonce=csp_nonce, asset=assets.url, score_drawing=charts.draw, initials=initials
    )
    environment.filters.update(dates.FILTERS | phrases.FILTERS)
    app.context_processor(frame.context)
    app.register_blueprint(bp)
    app.after_request(drop_sent_draft)


def script_words() -> str:
    """What shared scripts say, in the page's language."""
    return json.dumps(
        {
            "draft_saved": gettext("Saved"),
            "draft_restored": gettext("We put back what you had typed."),
            "draft_offline": gettext("You seem to be offline. Your text is saved on this device."),
            "draft_unavailable": gettext(
                "We can't save right now. Your text is kept on this device, and we keep trying."
            ),
            "draft_signed_out": gettext(
                "You were signed out. Your text is kept on this device until you sign in again."
            ),
            "draft_too_long": gettext("This text is too long to be saved. Please shorten it."),
            "draft_not_kept": gettext("We can't save right now. Please keep this page open."),
            "locked_title": gettext("This page is locked"),
            "not_sent": gettext("We couldn't send this. It is still here. Please try again."),
            "sending": gettext("Sending…"),
        }
    )


def drop_sent_draft(response: Response) -> Response:
    """Once a form was taken (it is answered by leading on), drop the draft that its field `draft` names.

    A cookie tells the next page's script, which drops the copy on the device: only the server knows the form arrived.
    """
    place = request.form.get("draft", "") if request.method == "POST" and response.status_code in (302, 303) else ""
    if place and visitor().is_signed_in:
        with begin() as work:
            work.require(Decision(True))
            drafts.discard(work, place)
        secure = practice.settings.is_https
        response.set_cookie("telepsych-sent", quote(place, safe=""), samesite="Lax", secure=secure)
    return response


def _owner(actor: Actor) -> str:
    """Stands for the person in this browser's own store, so that nobody else is shown what they left there."""
    return practice.vault.mac("device", actor.id.bytes).hex()[:32] if actor.id else ""


bp = Blueprint("static", __name__)


@bp.get("/static/<name>")
@public("static")
def built(name: str) -> Response:
    """A built file. Only hashed names are served: the manifest and the stamp stay here."""
    if not HASHED.fullmatch(name):
        raise NotFound
    response = send_from_directory(assets.DIST, name)
    response.headers["Cache-Control"] = FOR_EVER
    return response


def patient_places() -> list[Place]:
    """The four destinations of patients and the people who care for them."""
    return [
        Place("home", gettext("Home"), "/", "house"),
        Place("messages", gettext("Messages"), "/messages", "message-circle"),
        Place("medicines", gettext("Medicines"), "/medicines", "pill"),
        Place("visits", gettext("Visits"), "/visits", "calendar-days"),
    ]


def staff_places(me: Me, counts: Mapping[str, int]) -> list[Place]:
    """The rail of the workforce: those destinations whose room is there and that the roles may use."""
    care = me.has("clinician", "staff", "manager")
    wanted = [
        (care, Place("inbox", gettext("Inbox"), "/inbox", "inbox", counts.get("inbox", 0))),
        (me.has("clinician"), Place("today", gettext("Today"), "/", "calendar-days", counts.get("today", 0))),
        (care, Place("patients", gettext("Patients"), "/patients", "users", counts.get("patients", 0))),
        (
            me.has("manager", "compliance"),
            Place("oversight", gettext("Oversight"), "/oversight", "shield-check", counts.get("oversight", 0)),
        ),
        (me.has("manager"), Place("people", gettext("People"), "/people", "user-round-check")),
    ]
    return _there([place for allowed, place in wanted if allowed])


def account_places(me: Me) -> list[Place]:
    """What a person's own menu leads to, of the rooms that are there."""
    places = [
        Place("security", gettext("Signing in"), "/account/security", "shield-check"),
        Place("devices", gettext("Devices"), "/account/devices", "monitor-up"),
    ]
    if me.has("patient", "guardian"):
        places.append(Place("sight", gettext("Who can see what"), "/sight", "eye"))
    found = _there(places)
    own = next((tie.patient_id for tie in me.actor.ties if tie.relation is Relation.SELF), None)
    if own and "records.looks_page" in current_app.view_functions:
        found.append(Place("looks", gettext("Who looked"), f"/records/{own}/looks", "search"))
    return found


def _there(places: list[Place]) -> list[Place]:
    known = {rule.rule.rstrip("/") or "/" for rule in current_app.url_map.iter_rules()}
    return [place for place in places if place.href in known]


def initials(name: str) -> str:
    """Up to two initials of a name; titles such as "Dr." and what follows a comma aside."""
    parts = [word for word in name.split(",")[0].split() if not word.endswith(".")]
    return "".join(word[0] for word in (parts[:1] + parts[-1:] if len(parts) > 1 else parts)).upper()


def _theme() -> str:
    """Light or dark as the person chose on this device; empty follows the device."""
    chosen = request.cookies.get("telepsych-theme", "")
    return chosen if chosen in ("light", "dark") else ""


def _here() -> str:
    """The destination this page belongs to, by its address; a page may say otherwise."""
    first = request.path.strip("/").split("/")[0]
    if not first:
        return "today" if visitor().actor.is_workforce else "home"
    return "visits" if first == "check-in" else first
