"""Model + data set + protocol -> result."""
