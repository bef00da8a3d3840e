"""Fits in other coordinates than those of the package, to see what these are worth."""

from unittest import mock

from skl_sae.backprop.objective import Objective


def seen(**parts):
    """While it is open, solvers see theta with these parts of `Coordinates` in place of ours.

    ``origins=()`` leaves the biases as they are, ``unit=1.0`` the sizes of the parameters.
    """
    ours = Objective.coordinates.fget
    theirs = property(lambda objective: ours(objective)._replace(**parts))
    return mock.patch.object(Objective, "coordinates", theirs)
