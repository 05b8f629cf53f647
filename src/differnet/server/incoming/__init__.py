"""What comes in: who may, how much, and what is in it."""
