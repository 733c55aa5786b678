"""What notices say. Nothing about health, nobody's name but the practice's: a mailbox is read over many shoulders."""

from dataclasses import dataclass

from telepsych.core.words import gettext


@dataclass(frozen=True, slots=True)
class Text:
    """Subject and body of a notice."""

    subject: str
    body: str


def text_of(kind: str, *, practice: str, phone: str, address: str) -> Text:
    """The words of a notice. Raises KeyError for a kind that does not exist."""
    subject, sentence = _SENTENCES[kind]
    way = _WAY if kind in _SIGNED_IN else _WAY_OF_INVITED
    ending = gettext("Please don't answer this e-mail: nobody reads the answers. You can call us at {phone}.")
    closing = gettext("In an emergency, call 911.")
    paragraphs = [gettext(sentence), gettext(way), f"{ending} {closing}"]
    body = "\n\n".join(paragraphs).format(practice=practice, address=address, phone=phone)
    return Text(gettext(subject).format(practice=practice), body + "\n")


_WAY = "Please sign in to see it:\n{address}"
_WAY_OF_INVITED = "The staff give you your own link. This e-mail can't sign you in, and nobody needs it to."
_SENTENCES = {
    "new-message": ("A new message at {practice}", "There is a new message for you at {practice}."),
    "visit-booked": ("A new appointment at {practice}", "There is a new appointment for you at {practice}."),
    "visit-changed": ("A changed appointment at {practice}", "One of your appointments at {practice} has changed."),
    "invitation": ("{practice} is expecting you", "{practice} has made an account for you."),
    "work-item": ("Something to do at {practice}", "There is something for you to do at {practice}."),
}
_SIGNED_IN = frozenset(_SENTENCES) - {"invitation"}
KINDS = frozenset(_SENTENCES)
