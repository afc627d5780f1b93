"""What formats share: listing folders, pairing names, splits, drawing outlines."""
