"""From the scores of good images to decisions: thresholds, p-values, and how far they can be trusted."""

from differnet.calibration.calibration import Calibration, calibrate, set_by_hand
from differnet.calibration.conformal import conformal_threshold, images_needed, p_value
from differnet.calibration.excess import chance_of_refusals
from differnet.calibration.learnt import seem_learnt
from differnet.calibration.outliers import deviations_above, gross_outliers
from differnet.calibration.pareto import ParetoTail
from differnet.calibration.record import CalibrationRecord, Decision, Source, Tail

__all__ = [
    "Calibration",
    "CalibrationRecord",
    "Decision",
    "ParetoTail",
    "Source",
    "Tail",
    "calibrate",
    "chance_of_refusals",
    "conformal_threshold",
    "deviations_above",
    "gross_outliers",
    "images_needed",
    "p_value",
    "seem_learnt",
    "set_by_hand",
]
