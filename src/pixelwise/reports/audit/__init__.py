"""Output of `check`: the audit of a data set on a terminal and as an HTML page."""
