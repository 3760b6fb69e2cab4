"""How statements and rows travel: values as literals, packets as tuples."""
