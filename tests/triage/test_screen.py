"""The safety screen: what it must raise, and every worked example of its content."""

import pytest

from telepsych.triage.content import screen_content
from telepsych.triage.priority import Priority
from telepsych.triage.screen import screen

MUST_RAISE = [
    ("I want to kill myself", (), Priority.EMERGENCY),
    ("I'm going to end my life tonight", (), Priority.EMERGENCY),
    ("I took all my pills an hour ago", (), Priority.EMERGENCY),
    ("I overdosed on my Seroquel", (), Priority.EMERGENCY),
    ("Me quiero matar", (), Priority.EMERGENCY),
    ("Quiero quitarme la vida, ya tengo un plan", (), Priority.EMERGENCY),
    ("Me tomé todas las pastillas", (), Priority.EMERGENCY),
    ("I have my pills lined up", (), Priority.URGENT),
    ("everyone would be better off without me", (), Priority.URGENT),
    ("I have a rash on my chest since yesterday", ("lamotrigine",), Priority.URGENT),
    ("I keep vomiting and my hands are shaking badly", ("lithium",), Priority.URGENT),
    ("I have a fever of 101 and a sore throat", ("clozapine",), Priority.URGENT),
    ("I stopped my Effexor cold turkey on Sunday", (), Priority.SOON),
    ("I'm having chest pain right now", (), Priority.URGENT),
    ("he won't let me leave the house", (), Priority.URGENT),
]
EXAMPLES = [(file.id, one) for file in screen_content().rules for one in file.examples]


@pytest.mark.parametrize(("text", "medicines", "least"), MUST_RAISE, ids=[one[0] for one in MUST_RAISE])
def test_it_raises(text: str, medicines: tuple[str, ...], least: Priority) -> None:
    found = screen(text, medicines)
    assert found.priority >= least
    assert found.findings[0].why


@pytest.mark.parametrize(("file", "example"), EXAMPLES, ids=[f"{file}: {one.text[:60]}" for file, one in EXAMPLES])
def test_worked_examples(file: str, example: object) -> None:
    found = screen(example.text, example.medicines)  # type: ignore[attr-defined]
    assert found.priority == example.priority, [one.rule for one in found.findings]  # type: ignore[attr-defined]
    if example.category:  # type: ignore[attr-defined]
        assert example.category in found.categories  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text", ["Thank you, the new dose works well.", "Can I move my visit to Friday?", "I need a refill of my Lexapro."]
)
def test_everyday_letters_stay_routine(text: str) -> None:
    assert screen(text, ()).priority <= Priority.SOON
