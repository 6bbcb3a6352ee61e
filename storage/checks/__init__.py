"""Store checks of observations and the flags they raise."""
