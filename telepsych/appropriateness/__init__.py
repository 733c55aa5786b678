"""Is video right for this visit: rules as data, three-valued, explained. It recommends; a clinician decides."""
