"""From images through views and the network to feature vectors and cells."""

from differnet.features.bank import FeatureBank
from differnet.features.extraction import FeatureExtraction, ViewChoice
from differnet.features.network import VIEWS_PER_CALL, Engine, FeatureNetwork
from differnet.features.sample import Sample
from differnet.features.streaming import VIEWS_PER_GPU_GROUP, VIEWS_PER_GROUP

__all__ = [
    "VIEWS_PER_CALL",
    "VIEWS_PER_GPU_GROUP",
    "VIEWS_PER_GROUP",
    "Engine",
    "FeatureBank",
    "FeatureExtraction",
    "FeatureNetwork",
    "Sample",
    "ViewChoice",
]
