"""The views T of an image: which there are, and how they are applied."""

from differnet.views.apply import apply_view, apply_views, apply_views_batch, resize
from differnet.views.tiling import Tiling
from differnet.views.view import View, exact_views, fixed_views, random_views

__all__ = [
    "Tiling",
    "View",
    "apply_view",
    "apply_views",
    "apply_views_batch",
    "exact_views",
    "fixed_views",
    "random_views",
    "resize",
]
