"""A fictional practice to look at and try things on, made through the same services that people use."""
