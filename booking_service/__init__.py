"""Bookings: the salon's appointments, hours, money, and who may change them."""
