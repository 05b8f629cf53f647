"""What people do with verdicts: explanations, reviews' statistics, recalibration."""
