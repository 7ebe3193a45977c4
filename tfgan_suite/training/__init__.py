"""Building a variant, the loop, and what watches a run."""
