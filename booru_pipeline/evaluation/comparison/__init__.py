"""A release's model beside earlier ones."""
