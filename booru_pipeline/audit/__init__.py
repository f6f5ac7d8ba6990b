"""The audit of a release: tags that posts lack, tags that are wrong on them, and what tags say of each other."""
