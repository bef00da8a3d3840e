"""Sparse autoencoders and multilayer perceptrons trained by L-BFGS, for scikit-learn."""

from . import onnx as onnx
from .convolution import ConvolveAndPool
from .detector import SparseAutoencoderDetector
from .diagnostics import code_diagnostics
from .displays import (
    CodeDisplay,
    ComponentsDisplay,
    FeatureScoresDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
)
from .gradient_check import check_gradient
from .mlp_backprop import MLPBackprop
from .mlp_tasks import MLPBackpropClassifier, MLPBackpropRegressor
from .preprocessing import PatchNormalizer, ZCAWhitening
from .sparse_autoencoder import SparseAutoencoder

__version__ = "0.2.0"

__all__ = [
    "MLPBackprop",
    "MLPBackpropClassifier",
    "MLPBackpropRegressor",
    "SparseAutoencoder",
    "SparseAutoencoderDetector",
    "ConvolveAndPool",
    "PatchNormalizer",
    "ZCAWhitening",
    "CodeDisplay",
    "ComponentsDisplay",
    "FeatureScoresDisplay",
    "LossCurveDisplay",
    "ReconstructionDisplay",
    "check_gradient",
    "code_diagnostics",
]
