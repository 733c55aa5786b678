"""Letters between a patient, whoever represents them, and the care team; and what the team notes among itself."""
