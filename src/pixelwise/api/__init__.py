"""Public functions that end with a page, a picture or a report."""
