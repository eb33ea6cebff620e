"""Furniture as parametric solids: designs by name, the surfaces they are covered with, and pieces users bring."""
