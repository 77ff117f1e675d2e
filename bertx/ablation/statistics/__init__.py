"""What a study's runs show: intervals, paired tests, effect sizes; NumPy only."""
