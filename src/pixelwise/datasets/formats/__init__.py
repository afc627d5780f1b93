"""One file per format of annotation or known data set: how it is recognised and what pairs it lists."""
