"""The operations an actor may perform, and the process that serves them; records and rules live in `schema`."""
