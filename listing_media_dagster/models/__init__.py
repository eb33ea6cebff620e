"""What runs on a GPU or, slower, without: the models, where their weights come from, and how they are scored."""
