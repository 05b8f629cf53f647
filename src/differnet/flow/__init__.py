"""The normalizing flow f_NF."""

from differnet.flow.coupling import TWO_OVER_PI, CouplingBlock
from differnet.flow.ensemble import FlowEnsemble
from differnet.flow.normalizing_flow import NormalizingFlow, negative_log_likelihood

__all__ = ["TWO_OVER_PI", "CouplingBlock", "FlowEnsemble", "NormalizingFlow", "negative_log_likelihood"]
