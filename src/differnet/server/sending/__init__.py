"""Verdicts are sent on to other systems: each recorded one, in order, until the receiver has it."""
