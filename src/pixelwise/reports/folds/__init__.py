"""Cross-validations on a terminal and as a page."""
