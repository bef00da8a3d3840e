"""Sparse autoencoders and multilayer perceptrons trained by L-BFGS, for scikit-learn."""

from . import onnx as onnx
from .base import check_gradient
from .convolution import ConvolveAndPool
from .diagnostics import code_diagnostics
from .displays import CodeDisplay, ComponentsDisplay, LossCurveDisplay, ReconstructionDisplay
from .mlp_backprop import MLPBackprop, MLPBackpropClassifier, MLPBackpropRegressor
from .preprocessing import PatchNormalizer, ZCAWhitening
from .sparse_autoencoder import SparseAutoencoder

__version__ = "0.1.0.dev0"

__all__ = [
    "MLPBackprop",
    "MLPBackpropClassifier",
    "MLPBackpropRegressor",
    "SparseAutoencoder",
    "ConvolveAndPool",
    "PatchNormalizer",
    "ZCAWhitening",
    "CodeDisplay",
    "ComponentsDisplay",
    "LossCurveDisplay",
    "ReconstructionDisplay",
    "check_gradient",
    "code_diagnostics",
]
