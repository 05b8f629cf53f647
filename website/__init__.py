"""The documentation's site: what `make docs` builds beside the pages in docs/."""
