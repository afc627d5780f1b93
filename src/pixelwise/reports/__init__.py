"""Tables, plots, pages and terminal output, generated from results and run folders."""
