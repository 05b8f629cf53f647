"""Localization by the likelihood of cells under a mixture that was fitted to good images."""
