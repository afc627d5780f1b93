"""Building blocks of the formats: listing folders, matching masks to images, splits, drawing annotations."""
