"""Tables, plots and pages, generated from results and run folders."""
