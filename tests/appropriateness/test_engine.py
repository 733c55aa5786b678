"""What must hold of the engine whatever the facts: three values, monotonic, nothing hidden, safety on the safe side."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from telepsych.appropriateness import truth
from telepsych.appropriateness.content import Level, Moment, fact_kinds, observations, rules
from telepsych.appropriateness.engine import Recorded, Sheet, evaluate
from telepsych.core.clock import DAY

from .facts import NOON, WELL, ZONE, fired, ids, judged, reported, sheet, taking

THREE = st.sampled_from([True, False, None])
MANY = st.lists(THREE, max_size=6)
HALF_A_DAY = DAY // 2


def more_certain(values: list[bool | None]) -> list[bool | None]:
    return [True if value is None else value for value in values]


@given(MANY)
def test_a_decided_value_survives_every_way_of_learning_more(values: list[bool | None]) -> None:
    for join in (truth.all_of, truth.any_of, lambda some: truth.at_least(2, some)):
        before = join(values)
        if before is not None:
            assert join(more_certain(values)) is before
            assert join([False if value is None else value for value in values]) is before


@given(MANY, MANY)
def test_de_morgan_holds_with_three_values(left: list[bool | None], right: list[bool | None]) -> None:
    both = [*left, *right]
    assert truth.not_that(truth.all_of(both)) is truth.any_of([truth.not_that(value) for value in both])


WELL_KNOWN = sorted(WELL)
BAD: dict[str, Any] = {
    "phq9.item9": 2,
    "asq.item1": 1,
    "asq.item5": 1,
    "means.access": True,
    "visit.safe_to_talk": False,
    "visit.private": False,
    "visit.alone": True,
    "visit.state": "NY",
    "patient.age": 15,
    "patient.wants_in_person": True,
    "observed.intent_or_plan": True,
    "observed.catatonia_signs": 3,
    "medicine.active": taking("lithium", "today-20"),
    "symptom.tremor": {"present": True, "severity": "severe"},
    "symptom.rash": {"present": True},
    "discharge.on": "today-2",
}
SHEETS = st.fixed_dictionaries(
    {}, optional={code: st.sampled_from([WELL[code], BAD.get(code, WELL[code])]) for code in WELL_KNOWN}
)
BAD_PICK = st.lists(st.sampled_from(sorted(BAD)), unique=True, max_size=5)
MOMENTS = st.sampled_from(list(Moment))


@settings(max_examples=60, deadline=None)
@given(SHEETS, SHEETS, MOMENTS)
def test_learning_a_fact_never_turns_a_decided_rule_around(
    known: dict[str, Any], more: dict[str, Any], when: Moment
) -> None:
    """Only facts that we are not the authority for: with those, absence itself is an answer that may change."""
    elsewhere = {code for code, kind in fact_kinds().items() if kind.authority == "elsewhere" and kind.before is None}
    learned = {code: value for code, value in more.items() if code in elsewhere and code not in known}
    before, after = evaluate(sheet(known, when=when)), evaluate(sheet(known | learned, when=when))
    open_before = {one.rule.id for one in before.unknown}
    decided = [rule_id for rule_id in rules() if rule_id not in open_before]
    was, now = set(ids(before)), set(ids(after))
    still_open = {one.rule.id for one in after.unknown}
    for rule_id in decided:
        assert rule_id not in still_open
        assert (rule_id in was) == (rule_id in now), rule_id


@settings(max_examples=60, deadline=None)
@given(SHEETS, MOMENTS)
def test_the_highest_level_wins_and_everything_that_fired_stays_visible(known: dict[str, Any], when: Moment) -> None:
    result = evaluate(sheet(known, when=when))
    levels = [one.level.rank for one in (*result.fired, *result.unknown)]
    assert result.level.rank == max(levels, default=0)
    assert [one.level.rank for one in result.fired] == sorted((one.level.rank for one in result.fired), reverse=True)
    if result.level is Level.L2:
        assert result.days == min(one.days for one in result.fired if one.level is Level.L2 and one.days)
    else:
        assert result.days is None


@settings(max_examples=60, deadline=None)
@given(SHEETS, MOMENTS)
def test_not_knowing_about_safety_is_never_nothing(known: dict[str, Any], when: Moment) -> None:
    result = evaluate(sheet(known, when=when))
    if any(one.rule.group == "S" for one in result.unknown):
        assert result.level.rank >= 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3), st.integers(0, 3), st.sampled_from(["phq9.item9", "asq.item1", "asq.item5"]))
def test_a_patient_s_later_answer_never_lowers_the_level(first: int, second: int, code: str) -> None:
    once = judged({code: first}, when=Moment.FORM)
    again = judged({code: (second, first)}, when=Moment.FORM)
    assert again.level.rank >= once.level.rank


@settings(max_examples=40, deadline=None)
@given(BAD_PICK, MOMENTS)
def test_the_same_facts_always_come_to_the_same_result(picked: list[str], when: Moment) -> None:
    facts = {code: BAD[code] for code in picked}
    assert judged(facts, when=when) == judged(facts, when=when)


def test_an_outdated_answer_is_unknown_and_says_so() -> None:
    facts = sheet(WELL).facts | {"phq9.item9": (Recorded(0, NOON - 15 * DAY, "test"),)}
    result = evaluate(Sheet(facts, NOON, ZONE))
    assert [one.rule.id for one in result.unknown] == ["S03", "S04"]
    assert result.unknown[0].missing[0].standing == "stale"
    assert result.level is Level.L1


def test_a_rule_may_want_a_fact_fresher_than_its_kind() -> None:
    strict = rules()["S04"].model_copy(update={"needs": {"phq9.item9": 0.25}})
    facts = {"phq9.item9": (Recorded(0, NOON - HALF_A_DAY, "test"),)}
    assert evaluate(Sheet(facts, NOON, ZONE), [strict]).unknown
    assert not evaluate(Sheet(facts, NOON, ZONE), [rules()["S04"]]).unknown


def test_what_is_observed_is_nothing_before_the_visit_and_unknown_in_it() -> None:
    seen = {f"observed.{code}": None for code in observations()}
    assert judged(seen, when=Moment.ARRIVAL).level is Level.L0
    during = judged(seen)
    assert during.level is Level.L1
    assert {"S01", "S05", "S06", "S10", "S11"} <= {one.rule.id for one in during.unknown}


def test_nothing_known_at_booking_calls_for_safeguards_only() -> None:
    assert evaluate(sheet({}, when=Moment.BOOKING)).level is Level.L1


def test_a_value_of_the_wrong_kind_is_unknown_and_clears_nobody() -> None:
    for value in ("not at all", True, {"x": 1}, [0]):
        assert "S03" in [one.rule.id for one in judged({"phq9.item9": value}).unknown]


def test_a_date_that_lies_ahead_is_unknown() -> None:
    result = judged({"medicine.active": taking("clozapine", "today-900"), "lab.anc_on": "2027-06-01"})
    assert "V09" in [one.rule.id for one in result.unknown]


def test_several_stops_and_levels_stand_side_by_side() -> None:
    result = judged({"visit.state": "NY", "phq9.item9": 1, "visit.location_confirmed": None})
    assert {one.rule.id for one in result.stops} == {"P01", "P02"}
    assert "S04" in ids(result)


def test_what_a_rule_might_still_become_is_said() -> None:
    one = fired(judged({"asq.item5": 1, "means.access": None}), "S01")
    assert (one.level, one.open_step) == (Level.L3, Level.L4)


def test_a_rule_outside_its_dates_is_not_asked() -> None:
    later = rules()["P08"].model_copy(update={"effective_from": sheet({}).today.replace(year=2027)})
    assert not evaluate(sheet({"language.need_unmet": True}), [later]).fired


def test_a_report_without_its_degree_counts_as_bad_enough() -> None:
    facts = {"medicine.active": taking("lithium", "today-900"), **reported("tremor")}
    assert "X03" in ids(judged(facts))
    assert "X03" not in ids(judged(facts | reported("tremor", severity="mild")))
