"""Deploy card: the artefacts of a run, scored and timed side by side."""
