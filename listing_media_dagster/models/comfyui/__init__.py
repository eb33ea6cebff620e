"""Any ComfyUI workflow as a model: a graph with named places, filled in, run on a server and fetched."""
