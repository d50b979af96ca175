"""How A and B descend the nested loss on what is remembered: one file for each way."""
