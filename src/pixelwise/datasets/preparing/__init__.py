"""Downloads, divides, converts and draws data sets: everything that writes data for the user."""
