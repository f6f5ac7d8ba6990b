"""How far an audit is to be believed: what was hidden and planted on held-out posts is looked for."""
