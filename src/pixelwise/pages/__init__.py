"""Pages of runs, served to a browser on this computer: the leaderboard, one run, two runs held against each other."""
