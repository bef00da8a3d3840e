"""A property that is computed once for each object."""


class once:
    """`functools.cached_property` without the lock that it takes before Python 3.12.

    All objects of a class share that lock: one that waits for dask while it holds it stops the
    others, which fill the threads that dask would need to go on.
    """

    def __init__(self, function):
        self.function, self.__doc__ = function, function.__doc__

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner=None):
        """The value, which from now on hides this property."""
        if instance is None:
            return self
        value = vars(instance)[self.name] = self.function(instance)
        return value
