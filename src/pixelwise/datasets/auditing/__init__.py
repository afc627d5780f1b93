"""Whether a data set is right: every file examined, findings concluded, the verdict of `check`."""
