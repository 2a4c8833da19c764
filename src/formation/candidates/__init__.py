"""Candidate circuits: named subsets of features with the components that write them."""
