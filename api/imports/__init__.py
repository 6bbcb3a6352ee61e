"""Load units, people, points, outlines and catalogues from files."""
