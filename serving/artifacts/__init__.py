"""Archives of models (.mar): make them, read them, store them."""
