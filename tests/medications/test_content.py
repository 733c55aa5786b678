"""The medicine catalogue is whole, asks about things that exist, and says what must not wait."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telepsych.core.content import config_dir, parse
from telepsych.core.errors import Misconfigured
from telepsych.medications.content import (
    Catalogue,
    CheckIn,
    Medicine,
    by_id,
    catalogues,
    check_in,
    find,
    medicines,
    require_known_symptoms,
    symptoms_of,
)

ALL = list(medicines().values())
each = pytest.mark.parametrize("medicine", ALL, ids=lambda one: one.id)


def raw(path: str) -> dict[str, Any]:
    return tomllib.loads((config_dir() / "medications" / path).read_text(encoding="utf-8"))


def refused(schema: type[Any], document: dict[str, Any]) -> str:
    with pytest.raises(Misconfigured) as fault:
        parse(schema, document, "config/medications/test.toml")
    return fault.value.sentence


def flag(medicine: str, symptom: str) -> str:
    (found,) = (one.priority for one in medicines()[medicine].red_flags if one.symptom == symptom)
    return found


def test_the_common_medicines_are_there() -> None:
    assert len(ALL) >= 25
    assert {"sertraline", "venlafaxine", "lithium", "lamotrigine", "clozapine", "lisdexamfetamine"} <= set(medicines())


@pytest.mark.parametrize(
    "medicine",
    [
        *("lithium", "clozapine", "clonidine", "guanfacine", "paroxetine", "venlafaxine", "lamotrigine", "valproate"),
        *("clonazepam", "lorazepam", "alprazolam", "diazepam", "buprenorphine", "propranolol", "gabapentin"),
    ],
)
def test_what_must_never_stop_suddenly(medicine: str) -> None:
    assert medicines()[medicine].never_stop_suddenly


def test_not_every_medicine_carries_that_warning() -> None:
    assert not medicines()["buspirone"].never_stop_suddenly


@pytest.mark.parametrize(
    ("medicine", "symptom", "priority"),
    [
        ("lamotrigine", "rash", "urgent"),
        ("lamotrigine", "mouth_sores", "emergency"),
        ("lithium", "vomiting", "urgent"),
        ("lithium", "confused", "emergency"),
        ("clozapine", "fever", "urgent"),
        ("clozapine", "chest_pain", "emergency"),
        ("haloperidol", "spasm", "emergency"),
        ("trazodone", "erection", "emergency"),
        ("sertraline", "self_harm", "urgent"),
    ],
)
def test_what_must_not_wait(medicine: str, symptom: str, priority: str) -> None:
    assert flag(medicine, symptom) == priority


def test_the_red_flags_are_asked_first_and_nothing_twice() -> None:
    for medicine in ALL:
        asked = [symptom.id for symptom in symptoms_of(medicine)]
        assert asked[: len(medicine.red_flags)] == [one.symptom for one in medicine.red_flags]
        assert len(asked) == len(set(asked))


@each
def test_an_emergency_names_a_number_or_a_place(medicine: Medicine) -> None:
    for one in medicine.red_flags:
        if one.priority == "emergency":
            assert "911" in one.patient or "emergency room" in one.patient


@each
def test_words_for_patients_are_plain(medicine: Medicine) -> None:
    words = " ".join([medicine.used_for, *(one.patient for one in medicine.red_flags)]).lower()
    assert not [term for term in ("bipolar", "schizo", "psychosis", "disorder", "toxicity") if term in words]
    assert "!" not in words


def test_a_medicine_is_found_by_either_name() -> None:
    assert [one.id for one in find("Effexor")] == ["venlafaxine"]
    assert [one.id for one in find(" LAMIC")] == ["lamotrigine"]
    assert [one.id for one in find("cl")] == ["clonazepam", "clonidine", "clozapine"]
    assert find("  ") == ()
    assert find("notamedicine") == ()


@given(st.sampled_from([(one, name) for one in ALL for name in (one.name, *one.brands)]), st.data())
def test_every_beginning_of_a_name_finds_its_medicine(named: tuple[Medicine, str], data: st.DataObject) -> None:
    medicine, name = named
    typed = name[: data.draw(st.integers(1, len(name)))].rstrip()
    assert medicine in find(data.draw(st.sampled_from([typed, typed.upper(), f" {typed} "])))


def test_the_reasons_for_missed_doses_and_the_burden_are_coded() -> None:
    assert {"forgot", "ran_out", "cost", "side_effect", "felt_well"} <= {one.id for one in check_in().reasons}
    assert [one.id for one in check_in().burdens][-1] == "cannot_go_on"


def test_everything_says_where_it_comes_from() -> None:
    for document in (*catalogues(), check_in()):
        assert document.source
        assert document.reviewed_by == "unconfirmed"


def test_a_symptom_that_does_not_exist_is_refused() -> None:
    document = raw("catalogue/mood_stabilizers.toml")
    document["medicines"][0]["ask_about"].append("hiccups")
    with pytest.raises(Misconfigured, match="lithium asks about hiccups"):
        require_known_symptoms(parse(Catalogue, document, "test"), check_in())


def test_a_red_flag_about_a_symptom_that_does_not_exist_is_refused() -> None:
    document = raw("catalogue/mood_stabilizers.toml")
    document["medicines"][0]["red_flags"][0]["symptom"] = "hiccups"
    with pytest.raises(Misconfigured, match="lithium asks about hiccups"):
        require_known_symptoms(parse(Catalogue, document, "test"), check_in())


def test_a_medicine_without_its_group_is_refused() -> None:
    document = raw("catalogue/antipsychotics.toml")
    document["medicines"][0]["group"] = "sedative"
    assert "without a group: aripiprazole" in refused(Catalogue, document)


def test_a_symptom_without_its_system_is_refused() -> None:
    document = raw("check_in.toml")
    document["symptoms"][0]["system"] = "elsewhere"
    assert "without a system: sleepy" in refused(CheckIn, document)


@pytest.mark.parametrize("words", ["Call us now.", "Call us about {medicine} or {drug}.", "Call us about {medicine."])
def test_words_about_stopping_that_do_not_name_the_medicine_are_refused(words: str) -> None:
    document = raw("check_in.toml")
    document["stopped_at_once"]["patient"] = words
    assert "stopped_at_once.patient" in refused(CheckIn, document)


def test_a_code_twice_is_refused() -> None:
    lithium = medicines()["lithium"]
    with pytest.raises(Misconfigured, match="lithium2 is there twice"):
        by_id([lithium, lithium.model_copy(update={"id": "lithium2"})])
    with pytest.raises(Misconfigured, match="lithium is there twice"):
        by_id([lithium, lithium])


def test_an_unknown_field_is_refused_by_name() -> None:
    document = raw("catalogue/antipsychotics.toml")
    document["medicines"][0]["dose"] = "5 mg"
    assert "medicines.0.dose" in refused(Catalogue, document)
