"""DifferNet: find defects on photographed parts, learning from images of good parts only."""
