"""The telehealth consent says what it must, reads plainly, and is signed by the right people."""

import re
import tomllib
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telepsych.core.content import config_dir, parse
from telepsych.core.errors import Misconfigured, NotFound
from telepsych.patients.consent_content import (
    TELEHEALTH_SECTIONS,
    Consent,
    consents,
    digest,
    in_force,
    sections_for,
    signature_holds,
    signers_for,
)

TODAY = date(2026, 11, 24)
TELEHEALTH = in_force("telehealth", TODAY)


def raw() -> dict[str, Any]:
    return tomllib.loads((config_dir() / "consents/telehealth-ct-1.toml").read_text(encoding="utf-8"))


def refused(document: dict[str, Any]) -> str:
    with pytest.raises(Misconfigured) as fault:
        parse(Consent, document, "config/consents/test.toml")
    return fault.value.sentence


def said(section: str) -> str:
    (found,) = (one for one in TELEHEALTH.sections if one.id == section)
    return " ".join(found.paragraphs)


def grade(text: str) -> float:
    """The Flesch–Kincaid grade, with vowel groups as syllables."""
    sentences = len(re.findall(r"[.?:]", text))
    words = re.findall(r"[A-Za-z’']+", text)
    syllables = sum(max(1, len(re.findall(r"[aeiouy]+", word.lower().removesuffix("e")))) for word in words)
    return 0.39 * len(words) / sentences + 11.8 * syllables / len(words) - 15.59


def test_it_speaks_about_everything_it_must() -> None:
    assert {section.id for section in TELEHEALTH.sections} >= TELEHEALTH_SECTIONS


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("what", ["video", "phone", "license number", "not a visit"]),
        ("limits", ["can't examine you", "picture or sound can fail"]),
        ("privacy", ["separate key for each patient", "The practice can read them", "do not record"]),
        ("location", ["address", "license", "drive"]),
        ("emergencies", ["911", "988", "not watched at night"]),
        ("phone", ["calls that number"]),
        ("stopping", ["stop at any time", "come in instead", "once a year"]),
        ("under_18", ["parent or guardian", "alone"]),
    ],
)
def test_it_says_the_things_that_matter(section: str, words: list[str]) -> None:
    assert [word for word in words if word not in said(section)] == []


def test_it_never_promises_what_is_not_so() -> None:
    text = " ".join(said(section.id) for section in TELEHEALTH.sections).lower()
    assert not [
        claim for claim in ("end-to-end", "guarantee", "completely", "100 %", "hipaa compliant") if claim in text
    ]


def test_it_reads_at_about_grade_six() -> None:
    everything = " ".join(said(section.id) for section in TELEHEALTH.sections)
    assert grade(everything) <= 6.5
    hard = {section.id: round(found, 1) for section in TELEHEALTH.sections if (found := grade(said(section.id))) > 8}
    assert hard == {}


def test_what_nobody_confirmed_is_marked() -> None:
    status = {section.id: section.status for section in TELEHEALTH.sections}
    assert status["medicines"] == status["under_18"] == "unconfirmed"
    assert TELEHEALTH.reviewed_by == "unconfirmed"
    assert all(section.source for section in TELEHEALTH.sections)


@pytest.mark.parametrize(
    ("years", "who"),
    [
        (7, ["guardian"]),
        (12, ["guardian"]),
        (13, ["guardian", "patient"]),
        (17, ["guardian", "patient"]),
        (18, ["patient"]),
        (90, ["patient"]),
    ],
)
def test_who_signs(years: int, who: list[str]) -> None:
    assert [signer.who for signer in signers_for(TELEHEALTH, years)] == who


def test_an_adult_s_conservator_may_sign_instead() -> None:
    (signer,) = signers_for(TELEHEALTH, 70)
    assert "conservator" in signer.or_by


@given(st.integers(0, 129))
def test_a_minor_never_signs_alone(years: int) -> None:
    who = [signer.who for signer in signers_for(TELEHEALTH, years)]
    assert ("guardian" in who) == (years < 18)
    assert ("under_18" in [section.id for section in sections_for(TELEHEALTH, years)]) == (years < 18)


def test_the_primary_care_question_stands_apart() -> None:
    assert [question.id for question in TELEHEALTH.questions] == ["primary_care_share"]
    assert "whether you say yes or no" in TELEHEALTH.questions[0].hint


def test_the_digest_names_what_was_shown() -> None:
    assert digest(TELEHEALTH, 30) == digest(TELEHEALTH, 40)
    assert len({digest(TELEHEALTH, years) for years in (10, 15, 30)}) == 3
    document = raw()
    document["sections"][0]["paragraphs"][0] += " "
    assert digest(parse(Consent, document, "test"), 30) == digest(TELEHEALTH, 30)
    document["sections"][0]["paragraphs"][0] += "More."
    assert digest(parse(Consent, document, "test"), 30) != digest(TELEHEALTH, 30)


def test_the_digest_of_the_first_version_does_not_move() -> None:
    """Signatures point at it: a changed text is a new version in a new file."""
    (first,) = (one for one in consents() if (one.id, one.version) == ("telehealth-ct", "1"))
    assert [digest(first, years)[:16] for years in (10, 15, 30)] == [
        "e6b991404a232f38",
        "0a9571350b62bb8d",
        "28e008281cb500d0",
    ]


@given(st.integers(-800, 800))
def test_a_signature_stands_for_a_year(days: int) -> None:
    signed = TODAY - timedelta(days=days)
    assert signature_holds(TELEHEALTH, "1", signed, TODAY) == (0 <= days <= 365)


def test_a_signature_under_another_version_does_not_stand() -> None:
    assert not signature_holds(TELEHEALTH, "0", TODAY, TODAY)


def test_the_newest_text_that_has_begun_and_not_ended_is_in_force() -> None:
    def version(number: str, begins: date, ends: date | None = None) -> Consent:
        changed = {"version": number, "effective_from": begins, "effective_until": ends}
        return TELEHEALTH.model_copy(update=changed)

    among = (version("2", date(2027, 1, 1)), version("1", date(2026, 1, 1)), version("3", date(2027, 3, 1)))
    assert in_force("telehealth", date(2026, 12, 31), among=among).version == "1"
    assert in_force("telehealth", date(2027, 1, 1), among=among).version == "2"
    assert in_force("telehealth", date(2027, 4, 1), among=among).version == "3"
    ended = (version("1", date(2026, 1, 1), date(2026, 12, 31)),)
    assert in_force("telehealth", date(2026, 12, 31), among=ended).version == "1"
    with pytest.raises(NotFound):
        in_force("telehealth", date(2027, 1, 1), among=ended)


@pytest.mark.parametrize("asked", [{"language": "xx"}, {"jurisdiction": "NY"}, {"today": date(2020, 1, 1)}])
def test_no_text_is_not_found(asked: dict[str, Any]) -> None:
    with pytest.raises(NotFound):
        in_force("telehealth", **({"today": TODAY} | asked))


def test_a_missing_section_is_refused_by_name() -> None:
    document = raw()
    document["sections"] = [one for one in document["sections"] if one["id"] != "emergencies"]
    assert "sections are missing: emergencies" in refused(document)


def test_a_text_nobody_signs_at_some_age_is_refused() -> None:
    document = raw()
    document["signers"] = [one for one in document["signers"] if one["who"] != "guardian"]
    assert "nobody signs for a patient of age 0" in refused(document)


def test_a_text_that_ends_before_it_begins_is_refused() -> None:
    assert "it ends before it begins" in refused(raw() | {"effective_until": date(2026, 10, 1)})
