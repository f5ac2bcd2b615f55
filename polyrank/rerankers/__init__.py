"""What puts the candidates of a query into an order."""
