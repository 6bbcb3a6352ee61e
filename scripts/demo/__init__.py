"""Make the demo from one seed: the city of Ganzhou with its offices, enterprises, people and cases.

All people are invented.
"""
