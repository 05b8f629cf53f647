"""The demonstration on photographs of solar cells."""
