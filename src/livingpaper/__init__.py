"""The press: executes chapters, judges claims, and prints a paper from the artifacts of its runs."""
