"""Where images and labels come from: layouts of folders, label tables, decoding, and the audit."""
