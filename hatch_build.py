"""What a release says of itself that the repository cannot know: where it is published.

``DIFFERNET_REPOSITORY`` is the address of the repository's page; `make release REPOSITORY=...` sets it. Package
indexes show the readme away from the repository, so links and pictures in it are made absolute then.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

PAPER = "https://arxiv.org/abs/2008.12577"
_RELATIVE = re.compile(r"(!?)(\[[^\]]*\])\((?!https?://|#|mailto:)([^)\s]+)\)")


class PublishedMetadata(MetadataHookInterface):
    """Adds the readme and the addresses."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in the fields that pyproject.toml calls dynamic."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        home = os.environ.get("DIFFERNET_REPOSITORY", "").rstrip("/")
        metadata["urls"] = {"Paper": PAPER}
        if home:
            metadata["urls"] |= {
                "Homepage": home,
                "Documentation": f"{home}/tree/main/docs",
                "Changelog": f"{home}/blob/main/CHANGELOG.md",
                "Issues": f"{home}/issues",
            }
            text = _RELATIVE.sub(lambda m: f"{m[1]}{m[2]}({home}/{'raw' if m[1] else 'blob'}/main/{m[3]})", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
