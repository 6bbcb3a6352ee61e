"""Commands, which are thin: the work is done in the other rooms."""
