"""What is kept: the database, the files, for how long, and the keys."""
