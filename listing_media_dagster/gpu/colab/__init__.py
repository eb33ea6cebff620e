"""Model jobs in Google Colab: by its official command line tool, or by a notebook that a person runs."""
