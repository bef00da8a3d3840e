"""A property that is computed once for each object."""


class once:
    """`functools.cached_property` without the lock that it takes before Python 3.12.

    All objects of a class share that lock. If one of them holds it and waits for dask, the others
    wait too, in the very threads that dask needs to go on.
    """

    def __init__(self, function):
        self.function, self.__doc__ = function, function.__doc__

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner=None):
        """Compute the value, and store it under the same name, where it hides this property."""
        if instance is None:
            return self
        value = vars(instance)[self.name] = self.function(instance)
        return value
