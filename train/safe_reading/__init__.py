"""Files that may harm, read without executing anything in them."""
