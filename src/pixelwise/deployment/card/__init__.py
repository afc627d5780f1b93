"""Every artefact of a run, scored and timed side by side."""
