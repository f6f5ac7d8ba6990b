"""Tags as the model sees them: the vocabulary of labels, their text and tokens, and the tokenized dataset."""
