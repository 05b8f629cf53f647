"""Learning from good images: splits, maximum likelihood, folds."""

from differnet.training.maximum_likelihood import TrainingResult, train_flow
from differnet.training.progress import EpochReport
from differnet.training.splits import MIN_IMAGES, split_held_out

__all__ = ["MIN_IMAGES", "EpochReport", "TrainingResult", "split_held_out", "train_flow"]
