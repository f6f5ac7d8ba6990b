"""The parts of report.html: templates, style, script, and the tables that they show."""
