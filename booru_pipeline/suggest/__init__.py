"""What some labels imply: the model's answer, beside what the releases count."""
