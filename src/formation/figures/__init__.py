"""Figures and tables of the chapters: plot data → matplotlib → SVG, in one house style."""
