"""From images through views and the network to feature vectors and cells."""

from differnet.features.extraction import VIEWS_PER_CALL, VIEWS_PER_GROUP, Engine, FeatureExtraction, ViewChoice
from differnet.features.image_features import FeatureBank, ImageFeatures, PreparedImage

__all__ = [
    "VIEWS_PER_CALL",
    "VIEWS_PER_GROUP",
    "Engine",
    "FeatureBank",
    "FeatureExtraction",
    "ImageFeatures",
    "PreparedImage",
    "ViewChoice",
]
