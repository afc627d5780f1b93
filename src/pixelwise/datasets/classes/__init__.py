"""Classes of a data set: tables, names, and what mask values give away."""
