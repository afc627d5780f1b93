"""What a recipe may say: one file per section."""
