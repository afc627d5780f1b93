"""Training by several processes: who does what in a step, and what they agree on."""
