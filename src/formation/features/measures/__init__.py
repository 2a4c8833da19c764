"""What is measured of features at every checkpoint, and when they were born."""
