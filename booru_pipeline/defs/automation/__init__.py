"""What is started without a person: sensors, schedule, and the jobs that they start."""
