"""Many products and large archives: in the calling process, or on a Ray cluster."""
