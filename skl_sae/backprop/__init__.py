"""The numerical core: backpropagation on NumPy and SciPy alone.

Read the files in this order: ``activations``, ``losses``, ``penalties``, ``network``,
``blocks``, ``objective``. ``solvers`` and ``gradient_check`` stand alone: they take any
callable ``theta -> (value, gradient)``.
"""
