"""Pictures of any size through engines that take tiles."""
