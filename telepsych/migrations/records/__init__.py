"""The chain of the records database."""
