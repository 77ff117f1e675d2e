"""Pages of a study, of a run, and of two runs: one HTML file each, which needs no network and no script."""
