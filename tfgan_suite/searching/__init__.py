"""Hyperparameter search: spaces, the design of a study, its trials, and what can be concluded from them."""
