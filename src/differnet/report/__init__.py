"""One self-contained HTML page about a model and how it did on labelled test images."""

from differnet.report.report import require_extra, write_report

__all__ = ["require_extra", "write_report"]
