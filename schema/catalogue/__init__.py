"""Define the catalogues (目录): rating grades, service items and fee items."""
