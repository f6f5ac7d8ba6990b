"""What report.html consists of: templates, style, script, and the tables that they show."""
