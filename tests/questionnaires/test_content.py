"""The instruments shipped are whole, their codes are real codes, and a wrong file is refused with its reason."""

import tomllib
from typing import Any

import pytest

from telepsych.core.content import config_dir, parse
from telepsych.core.errors import Misconfigured, NotFound
from telepsych.questionnaires.content import (
    Instrument,
    check_digit,
    has_check_digit,
    instrument_named,
    instruments,
)

ALL = list(instruments().values())
ids = pytest.mark.parametrize("instrument", ALL, ids=lambda one: one.id)


def raw(name: str) -> dict[str, Any]:
    return tomllib.loads((config_dir() / f"questionnaires/{name}.toml").read_text(encoding="utf-8"))


def refused(document: dict[str, Any]) -> str:
    with pytest.raises(Misconfigured) as fault:
        parse(Instrument, document, "config/questionnaires/test.toml")
    return fault.value.sentence


def answer_codes_shift(code: str) -> int:
    """How far an answer or list code's check digit is from the LOINC rule: 5 for LA with 4 digits, 2 with 5, LL 1."""
    letters, digits, check = code[:2], *code[2:].split("-")
    return (int(check) - check_digit(digits)) % 10 if letters in ("LA", "LL") else -1


def expected_shift(code: str) -> int:
    if code.startswith("LL"):
        return 1
    return {2: 5, 4: 5, 5: 2}[len(code[2:].split("-")[0])]


def test_the_depression_and_anxiety_scales_are_whole() -> None:
    phq9, gad7 = instrument_named("phq9"), instrument_named("gad7")
    assert [item.scored for item in phq9.items] == [True] * 9 + [False]
    assert [item.scored for item in gad7.items] == [True] * 7
    assert (phq9.scoring.maximum, gad7.scoring.maximum) == (27, 21)
    assert phq9.option_sets[0].options[0].text == gad7.option_sets[0].options[0].text == "Not at all"


def test_the_items_carry_their_published_codes() -> None:
    codes = {item.id: item.loinc for item in instrument_named("phq9").items}
    assert codes["self_harm"] == "44260-8"
    assert codes["anhedonia"] == "44250-9"
    assert instrument_named("gad7").item("worry_control").loinc == "68509-9"


def test_the_function_question_scores_by_code_and_not_by_order() -> None:
    options = instrument_named("phq9").options_of(instrument_named("phq9").item("function"))
    assert {option.loinc: option.ordinal for option in options} == {
        "LA6572-7": 0,
        "LA6573-5": 1,
        "LA6575-0": 2,
        "LA6574-3": 3,
    }


@ids
def test_every_answer_and_list_code_fits_its_check_digit(instrument: Instrument) -> None:
    codes = [option.loinc for options in instrument.option_sets for option in options.options if option.loinc]
    codes += [options.loinc for options in instrument.option_sets if options.loinc]
    assert {code: answer_codes_shift(code) for code in codes} == {code: expected_shift(code) for code in codes}


@pytest.mark.parametrize("code", ["44249-1", "44261-6", "69737-5", "70274-6", "55757-9", "2160-0", "98979-8"])
def test_real_term_codes_have_their_check_digit(code: str) -> None:
    assert has_check_digit(code)


@pytest.mark.parametrize("code", ["44249-2", "44294-1", "44260", "LA6568-5", ""])
def test_slips_of_the_hand_do_not(code: str) -> None:
    assert not has_check_digit(code)


@ids
def test_what_ships_is_free_to_ship_and_says_so(instrument: Instrument) -> None:
    assert instrument.licence.letter == "A"
    assert instrument.licence.notice
    assert instrument.licence.citation
    assert instrument.reviewed_by == "unconfirmed"


@ids
def test_patients_never_read_a_scale_s_name_or_a_diagnosis(instrument: Instrument) -> None:
    words = f"{instrument.patient_title} {instrument.patient_intro}".lower()
    assert not [name for name in ("phq", "gad", "asq", "depress", "disorder", "suicid") if name in words]


def test_ages_are_locked() -> None:
    phq9 = instrument_named("phq9")
    assert not phq9.suits_age(12)
    assert phq9.suits_age(13)
    assert phq9.suits_age(80)
    assert not instrument_named("asq").suits_age(9)


def test_the_self_harm_question_says_why_we_ask() -> None:
    item = instrument_named("phq9").item("self_harm")
    assert item.sensitive
    assert item.why_we_ask


def test_the_fact_codes_other_rooms_rely_on() -> None:
    assert {fact.code for fact in instrument_named("phq9").facts} == {"phq9.item9", "phq9.total"}
    assert {fact.code for fact in instrument_named("gad7").facts} == {"gad7.total"}


def test_an_unknown_instrument_or_item_is_not_found() -> None:
    with pytest.raises(NotFound):
        instrument_named("nothing")
    with pytest.raises(NotFound):
        instrument_named("phq9").item("item9")


def test_a_band_that_leaves_a_gap_is_refused() -> None:
    document = raw("phq9")
    document["scoring"]["bands"][1]["at_least"] = 6
    assert "band mild must start at 5" in refused(document)


def test_bands_that_stop_short_are_refused() -> None:
    document = raw("gad7")
    document["scoring"]["bands"].pop()
    assert "must reach 21" in refused(document)


def test_a_range_the_items_cannot_reach_is_refused() -> None:
    document = raw("phq9")
    document["scoring"]["maximum"] = 30
    assert "add up to 0–27" in refused(document)


def test_a_scored_item_that_may_stay_open_is_refused() -> None:
    document = raw("gad7")
    document["items"][2]["required"] = False
    assert "always asked and required: worry_much" in refused(document)


def test_a_typing_slip_in_a_code_is_refused_with_its_place() -> None:
    document = raw("phq9")
    document["items"][8]["loinc"] = "44260-9"
    sentence = refused(document)
    assert "test.toml" in sentence
    assert "items.8.loinc" in sentence


def test_a_rule_about_an_item_that_is_not_there_is_refused() -> None:
    document = raw("phq9")
    document["safety"][0]["item"] = "item9"
    assert "no such item: item9" in refused(document)


def test_an_item_twice_is_refused() -> None:
    document = raw("gad7")
    document["items"][1]["id"] = document["items"][0]["id"]
    assert "item ids repeat" in refused(document)


def test_a_sensitive_question_without_a_reason_is_refused() -> None:
    document = raw("phq9")
    del document["items"][8]["why_we_ask"]
    assert "does not say why we ask" in refused(document)


def test_a_safety_trigger_looks_at_an_ordinal_or_at_a_refusal() -> None:
    document = raw("asq")
    document["safety"][0]["declined_under_age"] = 18
    assert "one of the two" in refused(document)


def test_a_screen_ends_with_what_remains() -> None:
    document = raw("asq")
    document["scoring"]["results"].pop()
    assert "a screen needs results" in refused(document)
