"""Define the checks of observations, and the flags that the checks raise."""
