"""Where files lie: paths, atomic files, tables."""
