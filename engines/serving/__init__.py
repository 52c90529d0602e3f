"""Pictures over HTTP: one at a time from each client, as many clients as the queue holds."""
