"""Captions that pictures are trained with: read as trainers read them, made fuller or leaner, and written back."""
