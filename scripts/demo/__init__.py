"""The demo: Ganzhou with its offices, enterprises, people and cases, all of it drawn from one seed; people are invented."""
