"""Which classes a data set has: tables, names, and what mask values give away."""
