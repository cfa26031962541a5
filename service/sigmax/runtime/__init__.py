"""Running the service: settings, the process, its start and its end."""
