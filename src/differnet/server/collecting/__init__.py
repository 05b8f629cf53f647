"""Good pictures from cameras and folders of the service's own computer, those that whoever started it allows."""
