"""Pictures of many kinds, read and written without loss of what they hold."""
