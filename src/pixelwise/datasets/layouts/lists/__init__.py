"""Lists of files that divide a data set into splits: finding, reading and following them."""
