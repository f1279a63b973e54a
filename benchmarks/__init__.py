"""What is measured, against whom; results go under docs/."""
