"""The steps by which the tables came about; run when the service starts."""
