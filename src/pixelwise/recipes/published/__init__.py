"""The rows of the published model-zoo pages, and their training procedures."""
