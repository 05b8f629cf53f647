"""Files: written whole or not at all, and YAML that users write."""

from differnet.files.writing import (
    WHERE_TO_WRITE,
    replacing,
    replacing_for_good,
    staging,
    unfinished,
    written_whole,
)

__all__ = ["WHERE_TO_WRITE", "replacing", "replacing_for_good", "staging", "unfinished", "written_whole"]
