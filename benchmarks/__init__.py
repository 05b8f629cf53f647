"""Measurements of speed and accuracy; nothing here is part of the tests."""
