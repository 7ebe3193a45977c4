"""A run on disk: configuration, presets, folder, checkpoints, the one way to open a run, and its export."""
