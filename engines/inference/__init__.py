"""Files through an engine: pictures, animations and videos, one or many."""
