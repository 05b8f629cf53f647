"""The inspection station: an HTTP service that inspects, records, explains and learns from reviews."""
