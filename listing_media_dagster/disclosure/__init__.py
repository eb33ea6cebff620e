"""What must be said about an image: everything legal or descriptive is derived from its operation ledger."""
