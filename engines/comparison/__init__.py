"""Results side by side: a sheet of one picture's results to look at, and engines on one picture in figures."""
