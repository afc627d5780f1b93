"""The rows of the published model-zoo pages, and the procedures they share."""
