"""A fitted model as one safe file."""
