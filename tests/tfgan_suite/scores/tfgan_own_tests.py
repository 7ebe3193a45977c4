"""Run TF-GAN's own evaluation tests against the way in that `tfgan_suite.scores.tfgan` uses; prints one JSON object.

    python tfgan_own_tests.py [graph]

Its own process, because the tests want a `tensorflow_gan` in `sys.modules`, and TensorFlow 1's behaviour if "graph" is
given. Not collected by pytest.
"""

import importlib
import json
import sys
import types
import unittest

import tensorflow as tf

from tfgan_suite.scores import tfgan

MODULES = ("classifier_metrics", "sliced_wasserstein")


class Recorded(unittest.TestResult):
    """Outcome of every test: "passed", or the last line of the error."""

    def __init__(self):
        super().__init__()
        self.outcomes = {}

    def addSuccess(self, test):
        self.outcomes[_name(test)] = "passed"

    def addSkip(self, test, reason):
        if reason != "Not a test.":  # what TensorFlow's TestCase says of its method test_session
            self.outcomes[_name(test)] = f"skipped: {reason}"

    def addFailure(self, test, error):
        self.outcomes[_name(test)] = f"{error[0].__name__}: {str(error[1]).strip().splitlines()[-1]}"

    addError = addFailure


def _name(test):
    return test.id().split("_test.", 1)[1]


def main():
    if sys.argv[1:] == ["graph"]:
        tf.compat.v1.disable_v2_behavior()
    package = "tensorflow_gan.python.eval"
    with tfgan.importable():
        evaluation = types.SimpleNamespace()
        for name in MODULES:
            module = importlib.import_module(f"{package}.{name}")
            vars(evaluation).update({public: getattr(module, public) for public in module.__all__})
        sys.modules["tensorflow_gan"].eval = evaluation
        result = Recorded()
        for name in MODULES:
            tests = importlib.import_module(f"{package}.{name}_test")
            unittest.defaultTestLoader.loadTestsFromModule(tests).run(result)
    print(json.dumps(result.outcomes))


if __name__ == "__main__":
    main()
