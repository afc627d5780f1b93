"""Pre-labels: masks of unlabelled images for correction by hand, and the order in which correcting them pays."""
