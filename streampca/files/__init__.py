"""Files as checked rows, for the command line, Beam and Python alike."""
