"""What is path traced: solids, their materials and textures, and how they become a scene and a clean picture."""
