"""Features that move together, and named subsets of them."""
