"""What a worker can do: one function for each kind of work."""
