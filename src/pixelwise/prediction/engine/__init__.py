"""What makes predictions of many images fast: batches of equal sizes, networks made for prediction, and threads."""
