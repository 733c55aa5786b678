"""The test vectors of the research behind the rules. The Columbia scale is not shipped: its items are ASQ and
observations here. Vectors 18 and 20 are about deciding and stand in `test_service.py` as well."""

from datetime import date

from telepsych.appropriateness.content import Level, Moment

from .facts import fired, ids, judged, reported, taking


def test_1_all_known_and_nothing_positive() -> None:
    result = judged({})
    assert result.level is Level.L0
    assert (result.fired, result.unknown) == ((), ())


def test_2_several_days() -> None:
    result = judged({"phq9.item9": 1, "phq9.total": 4})
    assert (result.level, ids(result)) == (Level.L1, ["S04"])


def test_3_more_than_half_the_days_and_nobody_knows_where() -> None:
    result = judged({"phq9.item9": 2, "visit.location_confirmed": None})
    assert result.level is Level.L3
    assert ids(result) == ["S03", "P01"]


def test_4_intent_and_intent_with_a_firearm() -> None:
    assert judged({"observed.intent_or_plan": True}).level is Level.L3
    result = judged({"observed.intent_or_plan": True, "means.access": True})
    assert result.level is Level.L4
    assert ids(result) == ["S01", "S07"]


def test_5_a_form_left_after_the_first_yes() -> None:
    result = judged({"phq9.item9": None, "asq.item1": 1}, when=Moment.FORM)
    assert "S04" in ids(result)
    assert result.level is Level.L1


def test_6_rash_on_lamotrigine() -> None:
    result = judged({"medicine.active": taking("lamotrigine", "today-20"), **reported("rash")})
    assert (result.level, ids(result)) == (Level.L3, ["X05"])


def test_7_lithium_with_diarrhea_and_coarse_tremor() -> None:
    facts = {"medicine.active": taking("lithium", "today-900"), **reported("vomiting", "tremor")}
    result = judged(facts)
    assert result.level is Level.L3
    assert ids(result)[0] == "X03"


def test_8_haloperidol_hot_and_stiff() -> None:
    facts = {"medicine.active": taking("haloperidol", "today-30"), "vitals.temperature": {"celsius": 39.0}}
    result = judged(facts | reported("stiff"))
    assert result.level is Level.L4
    assert ids(result)[0] == "X01"


def test_9_stimulant_without_a_blood_pressure_for_7_months() -> None:
    facts = {
        "medicine.active": taking("methylphenidate", "today-700", "II"),
        "vitals.bp": {"systolic": 118, "diastolic": 70, "on": "today-213"},
    }
    result = judged(facts)
    assert (result.level, ids(result)) == (Level.L1, ["V01"])
    assert [task.text for task in result.tasks] == ["Home cuff or pharmacy reading before the refill"]


def test_10_fever_on_clozapine() -> None:
    facts = {"medicine.active": taking("clozapine", "today-300"), "vitals.temperature": {"celsius": 38.5}}
    result = judged(facts)
    assert (result.level, ids(result)) == (Level.L3, ["X12"])


def test_11_minor_whose_guardian_cannot_be_reached() -> None:
    result = judged({"patient.age": 15, "visit.alone": True, "guardian.reachable": False, "last_visit": "never"})
    assert (result.level, ids(result)) == (Level.L1, ["G05"])
    assert [one.effect.stop for one in result.stops] == ["medicine"]
    assert not result.refuses_admission


def test_12_in_another_state() -> None:
    result = judged({"visit.state": "NY"})
    assert result.refuses_admission
    assert [one.rule.id for one in result.stops] == ["P02"]
    assert "988" in fired(result, "P02").rule.patient


def test_13_the_federal_date_has_passed() -> None:
    facts = {"medicine.active": taking("methylphenidate", "today-3", "II", new=True), "last_in_person": "never"}
    before, after = judged(facts, day=date(2026, 12, 31)), judged(facts, day=date(2027, 1, 1))
    assert not before.stops
    assert [one.rule.id for one in after.stops] == ["W07"]
    assert after.stops[0].effect.stop == "medicine"


def test_13_the_law_is_asked_for_the_day_of_the_visit() -> None:
    facts = {"medicine.active": taking("methylphenidate", "today-3", "II", new=True), "last_in_person": "never"}
    assert judged(facts, service_day=date(2027, 1, 5)).stops


def test_14_movements_on_video() -> None:
    result = judged({"observed.aims_highest": 2, "observed.aims_mild_areas": 2})
    assert (result.level, result.days, ids(result)) == (Level.L2, 30, ["X09"])


def test_15_two_recommendations_keep_the_shorter_clock() -> None:
    result = judged({"observed.psychosis_worse": True, "observed.cognitive_change": True})
    assert (result.level, result.days) == (Level.L2, 7)
    assert ids(result) == ["M02", "M07"]


def test_16_no_lithium_level_on_record() -> None:
    result = judged({"medicine.active": taking("lithium", "today-900"), "lab.lithium_level": None})
    assert [one.rule.id for one in result.unknown] == ["V07"]
    assert [datum.code for datum in result.unknown[0].missing] == ["lab.lithium_level"]
    assert (result.level, result.days) == (Level.L2, 14)
    assert judged({"lab.lithium_level": None}).level is Level.L0


def test_17_an_answer_taken_back_keeps_counting() -> None:
    result = judged({"phq9.item9": (0, 2)})
    datum = fired(result, "S03").data[0]
    assert (datum.value, datum.also) == (2, (0,))


def test_18_and_20_the_clinician_s_own_concern() -> None:
    result = judged({"observed.concern": True})
    assert (result.level, ids(result)) == (Level.L1, ["S05"])
    assert "Choose the level yourself" in result.tasks[0].text


def test_19_coercion_is_quiet() -> None:
    result = judged({"observed.coercion": True})
    rule = fired(result, "S10").rule
    assert rule.quiet
    assert rule.patient == ""
