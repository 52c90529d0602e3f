"""Files through engines on the machines of a Ray cluster."""
