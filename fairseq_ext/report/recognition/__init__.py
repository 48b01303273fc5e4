"""Tables and page sections of the result type `recognition`."""
