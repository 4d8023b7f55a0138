"""The bus: from the one process with the feeds to all that serve clients."""
