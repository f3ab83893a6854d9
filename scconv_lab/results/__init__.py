"""What finished runs show: their values, whether they can be compared, and the verdicts."""
