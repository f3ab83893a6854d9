"""The commands fit, validate, test and predict: from the command line to the end of a run."""
