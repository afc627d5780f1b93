"""Output for runs: scores on a terminal and the HTML report."""
