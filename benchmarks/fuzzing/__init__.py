"""Mutations of each kind of file that the product reads: no traceback, no hang, no memory beyond a bound."""
