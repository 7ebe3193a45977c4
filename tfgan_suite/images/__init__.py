"""Images to look at or to score: sources, the one sampler, pixels and pictures."""
