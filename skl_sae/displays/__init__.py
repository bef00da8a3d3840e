"""Plots of fitted estimators, in the form of scikit-learn's displays. Each has its own file."""

from .code import CodeDisplay
from .components import ComponentsDisplay
from .feature_scores import FeatureScoresDisplay
from .loss_curve import LossCurveDisplay
from .reconstruction import ReconstructionDisplay

__all__ = [
    "CodeDisplay",
    "ComponentsDisplay",
    "FeatureScoresDisplay",
    "LossCurveDisplay",
    "ReconstructionDisplay",
]
