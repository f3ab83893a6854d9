"""Whether an arm is better than another: the rule, its error and its power. Knows values, and no runs."""
