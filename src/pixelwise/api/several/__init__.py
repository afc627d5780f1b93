"""Public functions whose subject is several runs: comparisons, and runs of one recipe with several seeds."""
