"""The steps of the medication check-in, and what follows from the answers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telepsych.core.errors import Invalid
from telepsych.medications import asking
from telepsych.medications.asking import Asked, Kind, OwnChange, Taking
from telepsych.medications.content import check_in, medicines, symptoms_of
from telepsych.triage.priority import Priority


def asked(*names: str) -> list[Asked]:
    return [Asked(f"row-{name}", name, name, f"{name} 1 mg", medicines().get(name)) for name in names]


def keys(found: list[asking.Step]) -> list[str]:
    return [step.key for step in found]


def alerts(name: str, **answers: Any) -> list[asking.Alert]:
    return asking.alerts(asked(name), {f"row-{name}.{kind}": value for kind, value in answers.items()})


def test_what_is_asked_depends_on_what_was_answered() -> None:
    lithium = asked("lithium")
    first = asking.steps(lithium, {})
    assert keys(first) == ["row-lithium.taking", "row-lithium.effects", "row-lithium.supply"]
    answers: dict[str, Any] = {"row-lithium.taking": "no"}
    assert "row-lithium.doses" in keys(asking.steps(lithium, answers))
    answers["row-lithium.doses"] = {"missed": 7, "change": "stopped_at_once"}
    assert "row-lithium.reasons" in keys(asking.steps(lithium, answers))
    assert "row-lithium.supply" not in keys(asking.steps(lithium, answers))
    answers["row-lithium.effects"] = ["tremor"]
    last = asking.steps(lithium, answers)[-1]
    assert last.key == "severity"
    assert [symptom.id for symptom in last.symptoms] == ["tremor"]


def test_a_medicine_that_is_not_in_the_catalogue_is_asked_about_too() -> None:
    assert keys(asking.steps(asked("herbal tea"), {})) == ["row-herbal tea.taking", "row-herbal tea.supply"]


def test_a_symptom_is_asked_once_and_named_with_every_medicine_that_may_cause_it() -> None:
    both = asked("fluoxetine", "sertraline")
    found = asking.steps(both, {})
    offered = [symptom.id for step in found for symptom in step.symptoms]
    assert len(offered) == len(set(offered))
    wanted = {symptom.id for name in ("fluoxetine", "sertraline") for symptom in symptoms_of(medicines()[name])}
    assert set(offered) == wanted
    answers = {"row-fluoxetine.effects": ["nausea"]}
    facts = asking.facts(both, answers, asking.steps(both, answers))
    assert facts["symptom.nausea"] == {"present": True, "severity": None, "medicines": ["fluoxetine", "sertraline"]}
    assert facts["symptom.insomnia"]["present"] is False


@pytest.mark.parametrize(
    ("medicine", "symptom", "priority"),
    [
        ("lamotrigine", "rash", Priority.URGENT),
        ("lithium", "confused", Priority.EMERGENCY),
        ("clozapine", "fever", Priority.URGENT),
        ("aripiprazole", "restless", Priority.SOON),
    ],
)
def test_a_red_flag_cannot_wait(medicine: str, symptom: str, priority: Priority) -> None:
    (alert,) = alerts(medicine, effects=[symptom])
    assert alert.priority is priority
    assert alert.words == next(flag.patient for flag in medicines()[medicine].red_flags if flag.symptom == symptom)


def test_the_same_symptom_is_no_red_flag_with_another_medicine() -> None:
    assert alerts("buspirone", effects=["dizzy"]) == []


def test_a_symptom_asked_with_one_medicine_is_a_red_flag_of_the_next() -> None:
    """Vomiting is common with sertraline, and dangerous with lithium."""
    both = asked("sertraline", "lithium")
    (alert,) = asking.alerts(both, {"row-sertraline.effects": ["vomiting"]})
    assert alert.key == "lithium:vomiting"


def test_stopping_at_once_what_is_never_stopped_suddenly_is_urgent() -> None:
    stopped = {"missed": 7, "change": "stopped_at_once"}
    (alert,) = alerts("venlafaxine", taking="no", doses=stopped)
    assert alert.priority is Priority.URGENT
    assert alert.words == check_in().stopped_at_once.patient.replace("{medicine}", "venlafaxine")
    assert "call 911" in alert.words
    assert alerts("bupropion", taking="no", doses=stopped) == []
    assert alerts("venlafaxine", taking="no", doses=stopped | {"change": "stopped_slowly"}) == []
    assert alerts("venlafaxine", taking="yes", doses=stopped) == []


def test_facts() -> None:
    three = asked("lithium", "sertraline", "clonazepam")
    answers = {
        "row-lithium.taking": "yes",
        "row-lithium.supply": {"days": 5, "unsure": False},
        "row-sertraline.taking": "sometimes",
        "row-sertraline.doses": {"missed": 3, "change": "none"},
        "row-clonazepam.taking": "no",
        "row-clonazepam.doses": {"missed": 7, "change": "stopped_at_once"},
    }
    facts = asking.facts(three, answers, asking.steps(three, answers))
    assert facts == {
        "medicine.missed_doses": {"lithium": 0, "sertraline": 3, "clonazepam": 7},
        "medicine.stopped_suddenly": ["clonazepam"],
        "medicine.days_left": {"lithium": 5},
    }
    assert asking.facts(three, {}, asking.steps(three, {})) == {}


PARTLY = {"row-lithium.taking": "no", "row-lithium.doses": {"missed": 2, "change": "none"}}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.TAKING, "perhaps"),
        (Kind.TAKING, None),
        (Kind.DOSES, {"missed": "-1"}),
        (Kind.DOSES, {"missed": "٣"}),
        (Kind.DOSES, {"missed": 29}),
        (Kind.DOSES, {"change": "doubled"}),
        (Kind.REASONS, ["moon"]),
        (Kind.DOSES, "none"),
        (Kind.EFFECTS, ["eye_pain"]),
        (Kind.EFFECTS, "tremor"),
        (Kind.SUPPLY, {"days": "many"}),
        (Kind.SUPPLY, {"days": 366}),
    ],
)
def test_what_cannot_be_read_is_refused(kind: Kind, value: Any) -> None:
    step = next(step for step in asking.steps(asked("lithium"), PARTLY) if step.kind is kind)
    with pytest.raises(Invalid):
        asking.read(step, value)


@st.composite
def walks(draw: st.DrawFn) -> tuple[list[Asked], dict[str, Any]]:
    """A check-in answered step by step as the person goes, whole or in part, sometimes going back."""
    names = draw(st.lists(st.sampled_from(sorted(medicines())), min_size=1, max_size=3, unique=True))
    taken, answers = asked(*names), {}
    for _ in range(draw(st.integers(0, 20))):
        step = draw(st.sampled_from(asking.steps(taken, answers)))
        answers[step.key] = asking.read(step, draw(values_of(step)))
    return taken, answers


def values_of(step: asking.Step) -> st.SearchStrategy[Any]:
    ids = [symptom.id for symptom in step.symptoms]
    levels = [one.id for one in check_in().severities if one.id != "none"]
    match step.kind:
        case Kind.TAKING:
            return st.sampled_from(list(Taking))
        case Kind.DOSES:
            change = st.none() | st.sampled_from(list(OwnChange))
            return st.fixed_dictionaries({"missed": st.none() | st.integers(0, 28), "change": change})
        case Kind.REASONS:
            return st.lists(st.sampled_from([reason.id for reason in check_in().reasons]), unique=True)
        case Kind.EFFECTS:
            return st.lists(st.sampled_from(ids), unique=True)
        case Kind.SUPPLY:
            return st.fixed_dictionaries({"days": st.none() | st.integers(0, 365), "unsure": st.booleans()})
        case Kind.SEVERITY:
            symptoms = st.dictionaries(st.sampled_from(ids), st.sampled_from(levels))
            return st.fixed_dictionaries({"symptoms": symptoms, "burden": st.none() | st.just("little")})


@given(walks())
def test_any_walk_holds_together(walk: tuple[list[Asked], dict[str, Any]]) -> None:
    taken, answers = walk
    found = asking.steps(taken, answers)
    assert len(set(keys(found))) == len(found)
    facts = asking.facts(taken, answers, found)
    for alert in asking.alerts(taken, answers):
        code, _, what = alert.key.partition(":")
        assert code in facts["medicine.stopped_suddenly"] if what == "stopped" else facts[f"symptom.{what}"]["present"]
    for step in found:
        if step.key in answers:
            assert asking.read(step, answers[step.key]) == answers[step.key] or step.kind is Kind.SEVERITY
    assert (asking.next_step(found, answers) is None) == all(asking.is_answered(step, answers) for step in found)
