"""The density of good images' features: the normalizing flow f_NF, and what may stand in its place."""

from differnet.flow.build import DENSITY_MODELS, build_density_model
from differnet.flow.coupling import TWO_OVER_PI, CouplingBlock
from differnet.flow.density import DensityModel, InvertibleDensityModel, StoredPrecision, negative_log_likelihood
from differnet.flow.ensemble import DensityEnsemble
from differnet.flow.gaussian import Gaussian
from differnet.flow.normalizing_flow import NormalizingFlow
from differnet.flow.sampling import draw

__all__ = [
    "DENSITY_MODELS",
    "TWO_OVER_PI",
    "CouplingBlock",
    "DensityEnsemble",
    "DensityModel",
    "Gaussian",
    "InvertibleDensityModel",
    "NormalizingFlow",
    "StoredPrecision",
    "build_density_model",
    "draw",
    "negative_log_likelihood",
]
