"""Training: an explicit loop, exact resume, and what stands around it."""
