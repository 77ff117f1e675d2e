"""The page of a study, one section per file."""
