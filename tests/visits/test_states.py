"""The state machine: whatever people and clocks do in whatever order, a visit keeps to its rules."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from telepsych.core.errors import Conflict
from telepsych.visits.states import CLOSED, FOLLOWS, HELD, LIVE, OPEN, VisitState, require_follows


class AnyOrder(RuleBasedStateMachine):
    """A visit that is pushed about."""

    def __init__(self) -> None:
        super().__init__()
        self.state = VisitState.BOOKED
        self.passed = [VisitState.BOOKED]

    @rule(to=st.sampled_from(VisitState))
    def push(self, to: VisitState) -> None:
        if to not in FOLLOWS[self.state]:
            with pytest.raises(Conflict, match="can't be done now"):
                require_follows(self.state, to)
            return
        require_follows(self.state, to)
        self.state = to
        self.passed.append(to)

    @invariant()
    def nobody_is_in_who_did_not_wait(self) -> None:
        if self.state in LIVE | HELD:
            assert VisitState.WAITING in self.passed
            assert VisitState.ADMITTED in self.passed

    @invariant()
    def what_is_closed_stays_closed(self) -> None:
        closed = [state in CLOSED for state in self.passed]
        assert closed == sorted(closed)

    @invariant()
    def a_summary_follows_an_end(self) -> None:
        if self.state is VisitState.SUMMARISED:
            assert self.passed[-2] is VisitState.ENDED


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


def test_every_state_is_open_or_closed() -> None:
    assert set(VisitState) == OPEN | CLOSED
    assert not OPEN & CLOSED
