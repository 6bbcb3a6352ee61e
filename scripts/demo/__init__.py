"""Make the demo from one seed: Ganzhou with offices, enterprises, people and cases. All people are invented."""
