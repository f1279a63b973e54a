"""The shared cache in Redis or Valkey."""
