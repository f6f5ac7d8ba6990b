"""What listens: the model that answers over http, its page, the reports, and `dagster dev` under supervision."""
