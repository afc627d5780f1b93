"""What a comparison of runs looks like: on a terminal, as a page, and as text for other programs."""
