"""The laboratory of the tiny paper: throws dice."""
