"""Whether what T5 learned from C4 helps with tags: arms that differ in what their weights and texts know, compared."""
