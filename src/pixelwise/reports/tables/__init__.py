"""Tables in several formats: on a terminal, or as text that is printed or written to a file."""
