"""Public functions whose work ends in a page, a picture or a report."""
