"""Unattended work: sensors, schedule, and the jobs that they start."""
