"""Learning from trained networks: finding and loading them, and what they say of a batch."""
