"""Which results of a leaderboard are told from the best one."""
