"""Products: good pictures are collected, models trained of them, compared and released."""
