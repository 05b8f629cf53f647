"""What goes over the wire: schemas and answers."""
