"""Localization by the distance to the nearest cells of good images."""
