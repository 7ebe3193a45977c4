"""The mean of what is logged since the last line of the log."""

import keras


class RunningMean(keras.metrics.Mean):
    """Keras's `Mean` for values that are the same on all replicas: each replica's sums are all there is to know.

    Those of Keras add up over the replicas when they are read, which on several workers is a collective operation: if
    one worker alone reads, to save or to show, it waits for others that never come.
    """

    def add_variable(self, shape, initializer, dtype=None, aggregation=None, name=None):
        return super().add_variable(shape, initializer, dtype, aggregation="only_first_replica", name=name)
