"""Where a training can go on from."""

CHECKPOINTS = "checkpoints"  # the folder of them in a run folder
