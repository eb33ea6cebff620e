"""How each kind of room is furnished: places are enumerated on the floor plan, checked, scored, and one is taken."""
