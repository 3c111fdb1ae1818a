"""What the API's objects look like, and how rows become them. The OpenAPI description is made from these types."""
