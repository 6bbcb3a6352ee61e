"""Build the filters that decide what a viewer may see."""
