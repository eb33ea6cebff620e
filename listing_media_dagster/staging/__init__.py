"""Virtual staging: which photos are to be staged, and the back ends that may do it."""
