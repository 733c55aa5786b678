"""Triage: the safety screen over what people write, the clocks it sets, and the words shown before and after."""
