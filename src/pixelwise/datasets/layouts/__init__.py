"""The parts that formats share: listing folders, matching masks to images, splits, drawing outlines."""
