"""The addresses that the service answers at, one module per subject."""
