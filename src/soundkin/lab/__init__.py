"""The lab: datasets, networks and experiments, to train, compare honestly and export models.

Needs the extra `lab`. The listener's half never imports it.
"""
