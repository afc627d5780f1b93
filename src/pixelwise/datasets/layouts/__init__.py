"""What formats share: listing folders, matching masks to images, splits, drawing outlines."""
