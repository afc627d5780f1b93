"""What was predicted already: a prediction that was stopped goes on where it was, on one machine or on many."""
