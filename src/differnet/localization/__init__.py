"""Where on a part a defect is."""
