"""Store the queue of checks of observations, the flags that checks raise, and the data that checks need."""
