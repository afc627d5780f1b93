"""Data sets in tars and tables of other programs: WebDataset, Parquet and Arrow files with images as bytes."""
