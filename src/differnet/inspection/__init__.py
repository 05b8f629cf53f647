"""From an image to its verdict and its explanation by a fitted model."""
