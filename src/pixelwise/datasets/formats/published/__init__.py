"""Public data sets, one module each, in the layout of their own archives."""
