"""Own photos in the pages: predicted by one or two models, in processes of their own."""
