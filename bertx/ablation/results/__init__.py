"""From the runs of a study to what they show: a comparison of its variants, and tables of it."""
